# A dashboard for each model: what it is asked, how it answers, how its runs end.
locals {
  tiles = {
    for name, model in var.models : name => concat(
      [{
        title = "About ${name}"
        text  = "Owner: ${local.owner_of[name]}. Runbooks: ${var.runbooks}\n\n[Log lines of this model](https://console.cloud.google.com/logs/query;query=${urlencode("jsonPayload.model=\"${name}\"")}?project=${var.project})"
        lines = []
      }],
      !model.realtime ? [] : [
        { title = "Requests by status, per second", text = null, lines = [
          { filter = "metric.type=\"run.googleapis.com/request_count\" ${local.requests["predict-${name}"]}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group = ["metric.label.response_code_class"] },
        ] },
        { title = "Latency in ms: median and 99th percentile", text = null, lines = [
          for aligner in ["ALIGN_PERCENTILE_50", "ALIGN_PERCENTILE_99"] : { filter = "metric.type=\"run.googleapis.com/request_latencies\" ${local.requests["predict-${name}"]}", aligner = aligner, reducer = "REDUCE_MAX", group = [] }
        ] },
        { title = "Instances", text = null, lines = [
          { filter = "metric.type=\"run.googleapis.com/container/instance_count\" ${local.requests["predict-${name}"]}", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", group = ["metric.label.state"] },
        ] },
        { title = "Requests by revision, per second", text = null, lines = [
          { filter = "metric.type=\"run.googleapis.com/request_count\" ${local.requests["predict-${name}"]}", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", group = ["resource.label.revision_name"] },
        ] },
      ],
      !model.batch ? [] : [
        { title = "Runs that ended, by state", text = null, lines = [
          for type in local.metrics.runs_finished.resources : { filter = "${local.metric.runs_finished} resource.type=\"${type}\" metric.labels.model=\"${name}\"", aligner = "ALIGN_DELTA", reducer = "REDUCE_SUM", group = ["metric.label.state"] }
        ] },
        { title = "Rejected rows, at most in one run", text = null, lines = [
          for type in local.metrics.rows_rejected.resources : { filter = "${local.metric.rows_rejected} resource.type=\"${type}\" metric.labels.model=\"${name}\"", aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", group = [] }
        ] },
      ],
    )
  }
}

resource "google_monitoring_dashboard" "model" {
  for_each = local.tiles

  project = var.project
  dashboard_json = jsonencode({
    displayName = "millrace: ${each.key}"
    labels      = { millrace = "" }
    mosaicLayout = {
      columns = 48
      tiles = [
        for i, tile in each.value : merge(
          { width = 24, height = 16, xPos = i % 2 * 24, yPos = floor(i / 2) * 16 },
          # A filter instead of a condition, since the two kinds of tile have different types.
          { widget = merge(
            { title = tile.title },
            { for key, value in { text = { content = tile.text, format = "MARKDOWN" } } : key => value if tile.text != null },
            { for key, value in { xyChart = {
              dataSets = [for line in tile.lines : {
                plotType = "LINE"
                timeSeriesQuery = {
                  timeSeriesFilter = {
                    filter = line.filter
                    aggregation = {
                      alignmentPeriod    = "300s"
                      perSeriesAligner   = line.aligner
                      crossSeriesReducer = line.reducer
                      groupByFields      = line.group
                    }
                  }
                }
              }]
            } } : key => value if tile.text == null },
          ) },
        )
      ]
    }
  })
}
