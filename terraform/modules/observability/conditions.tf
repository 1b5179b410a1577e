# The shapes of conditions, and the alerts on what Cloud Run itself measures.
locals {
  # One event is enough: counted by the minute, each label set an incident of its own.
  count = {
    absent  = false, suffix = "", comparison = "COMPARISON_GT", threshold = 0, duration = "0s", period = "60s"
    aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group = [], denominator = null, name = "", filter = ""
  }

  # A value that is sampled.
  level = merge(local.count, { duration = "300s", period = "300s", aligner = "ALIGN_MAX", reducer = "REDUCE_MAX" })

  # A sign of life that does not come. A counter without log lines may be absent or 0, so both are looked for.
  heartbeat = [
    merge(local.count, { suffix = " (absent)", absent = true, duration = "${var.heartbeat_seconds}s", period = "300s" }),
    merge(local.count, { suffix = " (none)", comparison = "COMPARISON_LT", threshold = 1, period = "${var.heartbeat_seconds}s" }),
  ]

  scheduler_errors = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.scheduler_errors.name}\""

  # Cloud Monitoring fills in the braces when it sends the alert, from the labels of the incident.
  run_logs = {
    for name in ["run_failed", "rows_over_limit", "run_overdue"] : name => {
      facts = join("\n", [for key in local.metrics[name].labels : "- ${key}: $${metric.label.${key}}"])
      text  = "Log lines of the run", query = "jsonPayload.run_id=", rest = "%22$${metric.label.run_id}%22;duration=P7D"
    }
  }

  # The functions that no model owns are the platform's.
  services = merge(
    { for name in ["batchtrigger", "onupload"] : name => { owner = var.platform_owner, model = null } },
    { for name, model in local.realtime : "predict-${name}" => { owner = local.owner_of[name], model = name } },
  )
  requests = { for name, service in local.services : name => "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${name}\"" }
  errors   = { for name, service in local.services : name => { text = "Errors of ${name}", query = "resource.type=\"cloud_run_revision\"\nresource.labels.service_name=\"${name}\"\nseverity>=ERROR" } }

  error_ratios = {
    for name, service in local.services : "error-ratio/${name}" => {
      alert = "error-ratio", owner = service.owner, model = service.model, log = local.errors[name]
      conditions = [merge(local.count, {
        name        = "more than ${var.error_ratio * 100} % of the requests of ${name} fail"
        filter      = "metric.type=\"run.googleapis.com/request_count\" AND ${local.requests[name]} AND metric.labels.response_code_class=\"5xx\""
        denominator = "metric.type=\"run.googleapis.com/request_count\" AND ${local.requests[name]}"
        threshold   = var.error_ratio
        duration    = "300s"
        period      = "300s"
      })]
    }
  }

  latencies = {
    for name, service in local.services : "latency/${name}" => {
      alert = "latency", owner = service.owner, model = service.model, log = local.errors[name]
      conditions = [merge(local.level, {
        name      = "the 99th percentile of ${name} is over ${var.latency_p99_ms} ms"
        filter    = "metric.type=\"run.googleapis.com/request_latencies\" AND ${local.requests[name]}"
        threshold = var.latency_p99_ms
        duration  = "600s"
        aligner   = "ALIGN_PERCENTILE_99"
      })]
    } if service.model != null
  }
}
