variable "name" { type = string }
variable "sku" {
  type      = string
  sensitive = true
}
variable "location" {
  type    = string
  default = "eastus"
}
variable "parameters" {
  type    = map(string)
  default = {}
}
variable "databases" {
  type    = map(object({ collation = optional(string, "en_US.utf8") }))
  default = {}
}
variable "firewall" {
  type    = list(object({ name = string, start = string, end = string }))
  default = []
}
variable "enabled" {
  type    = bool
  default = true
}
variable "retention" {
  type    = number
  default = 14
}
variable "mode" {
  type    = string
  default = null
}

resource "azurerm_postgresql_flexible_server" "this" {
  count                         = var.enabled ? 1 : 0
  name                          = var.name
  resource_group_name           = "database"
  location                      = var.location
  zone                          = "1"
  version                       = "17"
  sku_name                      = var.sku
  storage_mb                    = 131072
  backup_retention_days         = var.retention
  public_network_access_enabled = length(var.firewall) > 0

  authentication {
    active_directory_auth_enabled = true
    password_auth_enabled         = false
    tenant_id                     = "9d2ac018-e843-4e14-9e2b-4e0ddac75450"
  }

  dynamic "high_availability" {
    for_each = var.mode == null ? [] : [var.mode]
    content {
      mode                      = high_availability.value
      standby_availability_zone = "2"
    }
  }
}

resource "azurerm_postgresql_flexible_server_configuration" "this" {
  for_each  = var.enabled ? var.parameters : {}
  name      = each.key
  value     = each.value
  server_id = azurerm_postgresql_flexible_server.this[0].id
}

resource "azurerm_postgresql_flexible_server_database" "this" {
  for_each  = var.enabled ? var.databases : {}
  name      = each.key
  collation = each.value.collation
  server_id = azurerm_postgresql_flexible_server.this[0].id
}

resource "azurerm_postgresql_flexible_server_firewall_rule" "this" {
  for_each         = { for rule in var.firewall : rule.name => rule }
  name             = each.key
  start_ip_address = each.value.start
  end_ip_address   = each.value.end
  server_id        = azurerm_postgresql_flexible_server.this[0].id
}

output "id" {
  value = one(azurerm_postgresql_flexible_server.this[*].id)
}
output "resource" {
  value     = azurerm_postgresql_flexible_server.this
  sensitive = true
}
