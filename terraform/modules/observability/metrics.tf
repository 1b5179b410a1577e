# What the functions and the step container log, counted. The file names the event of a line, what its keys have to be,
# and which of them become labels; a test holds it equal to the log lines of the code.
locals {
  metrics = jsondecode(file("${path.module}/metrics.json"))
}

resource "google_logging_metric" "events" {
  for_each = local.metrics

  project     = var.project
  name        = "millrace/${each.key}"
  description = each.value.description
  filter = join(" AND ", concat(
    ["resource.type=(${join(" OR ", [for type in each.value.resources : jsonencode(type)])})"],
    ["jsonPayload.event=${jsonencode(each.value.event)}"],
    [for key, values in try(each.value.is, {}) : "jsonPayload.${key}=(${join(" OR ", [for v in values : jsonencode(v)])})"],
    [for key, values in try(each.value.not, {}) : "NOT jsonPayload.${key}=(${join(" OR ", [for v in values : jsonencode(v)])})"],
  ))
  label_extractors = { for key in each.value.labels : key => "EXTRACT(jsonPayload.${key})" }
  value_extractor  = can(each.value.value) ? "EXTRACT(jsonPayload.${each.value.value})" : null

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = "1"

    dynamic "labels" {
      for_each = toset(each.value.labels)
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }

  dynamic "bucket_options" {
    for_each = can(each.value.value) ? [true] : []
    content {
      exponential_buckets {
        num_finite_buckets = 32
        growth_factor      = 2
        scale              = 1
      }
    }
  }
}

# Attempts of Cloud Scheduler that got no 2xx answer. It writes one line for each, of its own resource type.
resource "google_logging_metric" "scheduler_errors" {
  project     = var.project
  name        = "millrace/scheduler_errors"
  description = "Attempts of Cloud Scheduler that were not answered with success, by job."
  filter      = "resource.type=\"cloud_scheduler_job\" AND severity>=ERROR"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}
