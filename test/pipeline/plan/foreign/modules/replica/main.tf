variable "name" { type = string }
variable "source_id" { type = string }
variable "sku" { type = string }

locals {
  source = { id = var.source_id }
}

resource "azurerm_postgresql_flexible_server" "copy" {
  for_each                      = { only = local.source }
  name                          = var.name
  resource_group_name           = "database"
  location                      = "westus2"
  zone                          = "1"
  create_mode                   = "Replica"
  source_server_id              = each.value.id
  sku_name                      = var.sku
  storage_mb                    = 131072
  public_network_access_enabled = false

  authentication {
    active_directory_auth_enabled = true
    password_auth_enabled         = false
    tenant_id                     = "9d2ac018-e843-4e14-9e2b-4e0ddac75450"
  }
}

output "id" {
  value = azurerm_postgresql_flexible_server.copy["only"].id
}
