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
  routes   = { for key, alert in local.alerts : key => local.channels[contains(keys(var.owners), alert.owner) ? alert.owner : var.platform_owner] }
  unrouted = distinct([for owner in values(local.owner_of) : owner if !contains(keys(var.owners), owner)])
}

# A new model of a new owner must not need an edit here, so this is a warning, not an error.
check "every_owner_has_a_channel" {
  assert {
    condition     = length(local.unrouted) == 0
    error_message = "owners has no entry for ${join(", ", local.unrouted)}: alerts of these models go to ${var.platform_owner}."
  }
}
