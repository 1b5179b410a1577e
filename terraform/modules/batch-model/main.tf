# What a batch model has beyond its release: one job of Cloud Scheduler for each of its schedules.
locals {
  # One of: every value, a value, a range; each with a step. Names of months and days as crontabs have them.
  values = {
    minute = "[0-5]?[0-9]"
    hour   = "[01]?[0-9]|2[0-3]"
    day    = "0?[1-9]|[12][0-9]|3[01]"
    month  = "0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
    week   = "[0-6]|sun|mon|tue|wed|thu|fri|sat"
  }
  item    = { for k, v in local.values : k => "(?:\\*|(?:${v})(?:-(?:${v}))?)(?:/[1-9][0-9]*)?" }
  field   = { for k, v in local.item : k => "${v}(?:,${v})*" }
  crontab = "(?i)^${local.field.minute}[ \\t]+${local.field.hour}[ \\t]+${local.field.day}[ \\t]+${local.field.month}[ \\t]+${local.field.week}$"
}

# A tick that fails is tried again within its deadline; reconcile finds one that was lost.
resource "google_cloud_scheduler_job" "tick" {
  for_each = var.schedules

  project          = var.project
  region           = var.region
  name             = "${var.model}-${each.key}"
  description      = "Starts the run ${each.key} of ${var.model}"
  schedule         = each.value.cron
  time_zone        = each.value.zone
  attempt_deadline = "180s"
  paused           = var.paused

  retry_config {
    retry_count          = 5
    min_backoff_duration = "10s"
    max_backoff_duration = "300s"
    max_doublings        = 5
  }

  http_target {
    uri         = "${var.uri}/ticks"
    http_method = "POST"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode(jsonencode({ model = var.model, schedule = each.key }))

    oidc_token {
      service_account_email = var.caller
      audience              = var.uri
    }
  }
}
