# Every alert is one entry of local.alerts: "<alert>/<what it watches>". Its text comes from alerts.json, which has one
# entry for each page of docs/runbooks.
locals {
  texts    = jsondecode(file("${path.module}/alerts.json"))
  batch    = { for name, model in var.models : name => model if model.batch }
  realtime = { for name, model in var.models : name => model if model.realtime }
  metric   = { for name, m in google_logging_metric.events : name => "metric.type=\"logging.googleapis.com/user/${m.name}\"" }

  # A run's end is logged where it is noticed: by the exit task in its pipeline, or by reconcile in batchtrigger.
  failed_runs = {
    for name, model in local.batch : "failed-run/${name}" => {
      alert = "failed-run", owner = local.owner_of[name], model = name, log = local.run_logs.run_failed
      conditions = [
        for type in local.metrics.run_failed.resources : merge(local.count, {
          name   = "a run of ${name} failed (${type})"
          filter = "${local.metric.run_failed} AND resource.type=\"${type}\" AND metric.labels.model=\"${name}\""
          group  = ["metric.label.run_id", "metric.label.model", "metric.label.state", "metric.label.reason"]
        })
      ]
    }
  }

  rejected_rows = {
    for name, model in local.batch : "rejected-rows/${name}" => {
      alert = "rejected-rows", owner = local.owner_of[name], model = name, log = local.run_logs.rows_over_limit
      conditions = [
        for type in local.metrics.rows_over_limit.resources : merge(local.count, {
          name   = "more rows of ${name} were rejected than the manifest allows"
          filter = "${local.metric.rows_over_limit} AND resource.type=\"${type}\" AND metric.labels.model=\"${name}\""
          group  = ["metric.label.run_id", "metric.label.model", "metric.label.reason"]
        })
      ]
    }
  }

  # Reconcile comes every five minutes: one failed attempt is an accident, three in twenty minutes are none.
  stuck_runs = {
    for name, model in local.batch : "stuck-run/${name}" => {
      alert = "stuck-run", owner = local.owner_of[name], model = name, log = local.run_logs.run_overdue
      conditions = [
        merge(local.count, {
          name   = "a run of ${name} is over its time limit"
          filter = "${local.metric.run_overdue} AND resource.type=\"cloud_run_revision\" AND metric.labels.model=\"${name}\""
          group  = ["metric.label.run_id", "metric.label.model"]
        }),
        merge(local.count, {
          name      = "a run of ${name} cannot be driven on"
          filter    = "${local.metric.run_stuck} AND resource.type=\"cloud_run_revision\" AND metric.labels.model=\"${name}\""
          group     = ["metric.label.run_id", "metric.label.model"]
          period    = "1200s"
          threshold = 2
        }),
      ]
    }
  }

  # Reconcile judges by the cron of the released manifest whether the latest tick has its run and says so every five
  # minutes; an absence can be watched for less than a day only, a cron of once a week could not be watched directly.
  missed_schedules = merge([
    for name, model in local.batch : {
      for schedule in model.schedules : "missed-schedule/${name}/${schedule}" => {
        alert = "missed-schedule", owner = local.owner_of[name], model = name
        log   = { text = "Log lines of batchtrigger about ${name}", query = "resource.type=\"cloud_run_revision\"\nresource.labels.service_name=\"batchtrigger\"\njsonPayload.model=\"${name}\"" }
        conditions = concat(
          [for c in local.heartbeat : merge(c, {
            name   = "${schedule} of ${name} is not on time${c.suffix}"
            filter = "${local.metric.schedule_on_time} AND resource.type=\"cloud_run_revision\" AND metric.labels.model=\"${name}\" AND metric.labels.schedule=\"${schedule}\""
          })],
          # More attempts of one tick than a passing fault explains: also where no tick has ever been served.
          [merge(local.count, {
            name      = "ticks of ${schedule} of ${name} are refused"
            filter    = "${local.scheduler_errors} AND resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"${name}-${schedule}\""
            period    = "3600s"
            threshold = 2
          })],
        )
      }
    }
  ]...)

  reconcile = {
    "reconcile-heartbeat/batchtrigger" = {
      alert = "reconcile-heartbeat", owner = var.platform_owner, model = null
      log   = { text = "Log lines of batchtrigger", query = "resource.type=\"cloud_run_revision\"\nresource.labels.service_name=\"batchtrigger\"\nseverity>=WARNING OR jsonPayload.event=\"reconcile_finished\"" }
      conditions = concat(
        [for c in local.heartbeat : merge(c, {
          name   = "no complete sweep of reconcile${c.suffix}"
          filter = "${local.metric.reconcile_complete} AND resource.type=\"cloud_run_revision\""
        })],
        [merge(local.count, {
          name      = "sweeps of reconcile are refused"
          filter    = "${local.scheduler_errors} AND resource.type=\"cloud_scheduler_job\" AND resource.labels.job_id=\"reconcile\""
          period    = "1200s"
          threshold = 2
        })],
      )
    }
  }

  dead_letters = {
    "dead-letters/uploads" = {
      alert = "dead-letters", owner = var.platform_owner, model = null
      log   = { text = "Log lines of onupload", query = "resource.type=\"cloud_run_revision\"\nresource.labels.service_name=\"onupload\"\nseverity>=ERROR" }
      conditions = concat(
        [merge(local.level, {
          name      = "an upload waits for more than an hour"
          filter    = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${var.uploads.subscription}\""
          threshold = 3600
        })],
        [for dead in var.uploads.dead_letters[*] : merge(local.count, {
          name   = "an event was given up"
          filter = "metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${var.uploads.subscription}\""
        })],
        [for dead in var.uploads.dead_letters[*] : merge(local.level, {
          name   = "dead letters lie unread"
          filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=\"${dead}\""
        })],
      )
    }
  }

  alerts = merge(local.failed_runs, local.rejected_rows, local.stuck_runs, local.missed_schedules, local.reconcile, local.dead_letters, local.error_ratios, local.latencies)
}

resource "google_monitoring_alert_policy" "this" {
  for_each = local.alerts

  project               = var.project
  display_name          = "${each.value.alert}: ${trimprefix(each.key, "${each.value.alert}/")}"
  combiner              = "OR"
  severity              = local.texts[each.value.alert].severity
  notification_channels = local.routes[each.key]
  user_labels = merge(
    { alert = each.value.alert, owner = each.value.owner, managed-by = "millrace" },
    each.value.model == null ? {} : { model = each.value.model },
  )

  documentation {
    mime_type = "text/markdown"
    subject   = "${each.value.alert}: ${trimprefix(each.key, "${each.value.alert}/")}"
    content = join("\n\n", compact([
      "**Means:** ${local.texts[each.value.alert].means}",
      "**Check:** ${local.texts[each.value.alert].check}",
      "**Fix:** ${local.texts[each.value.alert].fix}",
      try(each.value.log.facts, null),
      "[${each.value.log.text}](https://console.cloud.google.com/logs/query;query=${replace(urlencode(each.value.log.query), "+", "%20")}${try(each.value.log.rest, "")}?project=${var.project})",
      "Owner: ${each.value.owner}. Runbook: ${var.runbooks}/${each.value.alert}.md",
    ]))

    links {
      display_name = "Runbook"
      url          = "${var.runbooks}/${each.value.alert}.md"
    }
  }

  dynamic "conditions" {
    for_each = each.value.conditions
    content {
      display_name = conditions.value.name

      dynamic "condition_threshold" {
        for_each = conditions.value.absent ? [] : [conditions.value]
        content {
          filter             = condition_threshold.value.filter
          denominator_filter = condition_threshold.value.denominator
          comparison         = condition_threshold.value.comparison
          threshold_value    = condition_threshold.value.threshold
          duration           = condition_threshold.value.duration

          aggregations {
            alignment_period     = condition_threshold.value.period
            per_series_aligner   = condition_threshold.value.aligner
            cross_series_reducer = condition_threshold.value.reducer
            group_by_fields      = condition_threshold.value.group
          }

          dynamic "denominator_aggregations" {
            for_each = condition_threshold.value.denominator[*]
            content {
              alignment_period     = condition_threshold.value.period
              per_series_aligner   = condition_threshold.value.aligner
              cross_series_reducer = condition_threshold.value.reducer
              group_by_fields      = condition_threshold.value.group
            }
          }
        }
      }

      dynamic "condition_absent" {
        for_each = conditions.value.absent ? [conditions.value] : []
        content {
          filter   = condition_absent.value.filter
          duration = condition_absent.value.duration

          aggregations {
            alignment_period     = condition_absent.value.period
            per_series_aligner   = condition_absent.value.aligner
            cross_series_reducer = condition_absent.value.reducer
          }
        }
      }
    }
  }

  # An event is over as soon as it is counted; without this its incident would stay open for a week.
  alert_strategy {
    auto_close = "86400s"
  }
}
