# Configurations in the manner of other projects. The changed plan has `changed = true`.
variable "changed" {
  type    = bool
  default = false
}

locals {
  small = "GP_Standard_D2s_v3"
  large = "GP_Standard_D4s_v3"
}

# One module for several servers, by for_each: one of them gets another static parameter.
module "fleet" {
  source   = "./modules/server"
  for_each = toset(["blue", "green"])
  name     = "foreign-${each.key}"
  sku      = local.small
  parameters = {
    max_connections = var.changed && each.key == "blue" ? "300" : "200"
    work_mem        = "8192"
  }
}

# A parameter that leaves the map is reset, a database that joins it is made.
module "maps" {
  source     = "./modules/server"
  name       = "foreign-maps"
  sku        = local.small
  parameters = var.changed ? { log_connections = "on" } : { log_connections = "on", work_mem = "16384" }
  databases  = var.changed ? { app = {}, more = {} } : { app = {} }
}

# A replica in another module, through an output, that is scaled after its primary.
module "primary" {
  source = "./modules/server"
  name   = "foreign-primary"
  sku    = var.changed ? local.large : local.small
}
module "replica" {
  source    = "./modules/replica"
  name      = "foreign-replica"
  source_id = module.primary.id
  sku       = var.changed ? local.large : local.small
}

# A server that a condition takes out.
module "optional" {
  source  = "./modules/server"
  name    = "foreign-optional"
  sku     = local.small
  enabled = !var.changed
}

# A size that is known only after the apply, because another resource gives it.
resource "terraform_data" "size" {
  input            = "GP_Standard_D2s_v3"
  triggers_replace = var.changed
}
module "late" {
  source = "./modules/server"
  name   = "foreign-late"
  sku    = terraform_data.size.output
}

# A public server with rules in a list: one is wider, one has another name.
module "public" {
  source = "./modules/server"
  name   = "foreign-public"
  sku    = local.small
  firewall = [
    { name = "office", start = "20.50.10.8", end = var.changed ? "20.50.10.31" : "20.50.10.15" },
    { name = var.changed ? "works" : "work", start = "20.60.0.1", end = "20.60.0.1" },
  ]
}

# A standby, and shorter backups.
module "standby" {
  source    = "./modules/server"
  name      = "foreign-standby"
  sku       = local.small
  mode      = var.changed ? "ZoneRedundant" : null
  retention = var.changed ? 7 : 14
}

# Made before it is destroyed.
resource "azurerm_postgresql_flexible_server" "swapped" {
  name                          = var.changed ? "foreign-swapped-2" : "foreign-swapped"
  resource_group_name           = "database"
  location                      = "eastus"
  zone                          = "1"
  version                       = "17"
  sku_name                      = local.small
  storage_mb                    = 131072
  public_network_access_enabled = false

  authentication {
    active_directory_auth_enabled = true
    password_auth_enabled         = false
    tenant_id                     = "9d2ac018-e843-4e14-9e2b-4e0ddac75450"
  }
  lifecycle {
    create_before_destroy = true
  }
}

# What is around the databases of an application.
resource "azurerm_service_plan" "app" {
  count               = var.changed ? 2 : 0
  name                = "plan-${count.index}"
  resource_group_name = "database"
  location            = "eastus"
  os_type             = "Linux"
  sku_name            = "P1v3"
}
resource "azurerm_container_registry" "images" {
  count               = var.changed ? 1 : 0
  name                = "foreignimages"
  resource_group_name = "database"
  location            = "eastus"
  sku                 = "Premium"
}
resource "terraform_data" "marker" {
  for_each = toset(var.changed ? ["a", "b", "c"] : [])
  input    = module.primary.id
}

output "servers" {
  value     = { for name, one in module.fleet : name => one.resource }
  sensitive = true
}
output "replica" {
  value = module.replica.id
}
