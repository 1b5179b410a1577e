# One channel for each owner with an address. Channels with secrets are made by hand and named in owners.
resource "google_monitoring_notification_channel" "email" {
  for_each = { for owner, to in var.owners : owner => to.email if to.email != null }

  project      = var.project
  display_name = "millrace: ${each.key}"
  type         = "email"
  labels       = { email_address = each.value }
  user_labels  = { owner = each.key, managed-by = "millrace" }
}

locals {
  channels = {
    for owner, to in var.owners : owner => concat(
      to.email == null ? [] : [google_monitoring_notification_channel.email[owner].name],
      to.channels,
    )
  }

  owner_of = { for name, model in var.models : name => coalesce(model.owner, var.platform_owner) }
  # Of the owner, else of the platform, else none.
  routes   = { for key, alert in local.alerts : key => try(local.channels[alert.owner], local.channels[var.platform_owner], []) }
  unrouted = distinct([for owner in concat(values(local.owner_of), [var.platform_owner]) : owner if !contains(keys(var.owners), owner)])
}

# A new model of a new owner must not need an edit here, and a first apply no address, so this is a warning, not an error.
check "every_owner_has_a_channel" {
  assert {
    condition     = length(local.unrouted) == 0
    error_message = "owners has no entry for ${join(", ", local.unrouted)}: ${contains(keys(var.owners), var.platform_owner) ? "these alerts go to ${var.platform_owner}" : "nobody is told of these alerts"}."
  }
}
