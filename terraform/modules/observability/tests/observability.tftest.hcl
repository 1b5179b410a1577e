mock_provider "google" {
  mock_resource "google_monitoring_notification_channel" {
    defaults = { name = "projects/millrace-test/notificationChannels/1" }
  }
}

variables {
  project        = "millrace-test"
  owners         = { platform = { email = "platform@example.com" }, team-bikes = { channels = ["projects/millrace-test/notificationChannels/7"] } }
  platform_owner = "platform"
  uploads        = { subscription = "uploads-push", dead_letters = "uploads-dead" }
  models = {
    bike-demand = { owner = "team-bikes", realtime = true, batch = true, schedules = ["nightly", "hourly"] }
    flights     = { batch = true }
    prices      = { owner = "team-prices", realtime = true }
  }
}

run "every_failure_has_an_alert" {
  command = apply

  assert {
    condition = toset(keys(google_monitoring_alert_policy.this)) == toset([
      "dead-letters/uploads", "reconcile-heartbeat/batchtrigger",
      "error-ratio/batchtrigger", "error-ratio/onupload", "error-ratio/predict-bike-demand", "error-ratio/predict-prices",
      "latency/predict-bike-demand", "latency/predict-prices",
      "failed-run/bike-demand", "failed-run/flights", "rejected-rows/bike-demand", "rejected-rows/flights",
      "stuck-run/bike-demand", "stuck-run/flights",
      "missed-schedule/bike-demand/hourly", "missed-schedule/bike-demand/nightly",
    ])
    error_message = "alerts: ${join(", ", keys(google_monitoring_alert_policy.this))}"
  }

  assert {
    condition     = output.policies["failed-run/bike-demand"].channels == tolist(["projects/millrace-test/notificationChannels/7"])
    error_message = "an owner's alerts go to the owner's channels"
  }

  assert {
    condition     = alltrue([for key in ["failed-run/flights", "latency/predict-prices", "dead-letters/uploads"] : output.policies[key].channels == tolist(["projects/millrace-test/notificationChannels/1"])])
    error_message = "models without an owner, owners without an entry and the platform share the platform's channel"
  }

  assert {
    condition     = alltrue([for p in values(google_monitoring_alert_policy.this) : length(p.notification_channels) > 0])
    error_message = "an alert without a channel reaches nobody"
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.this["failed-run/flights"].documentation[0].content, "query=jsonPayload.run_id%3D%22$${metric.label.run_id}%22;")
    error_message = "the failed run is not linked: ${google_monitoring_alert_policy.this["failed-run/flights"].documentation[0].content}"
  }

  assert {
    condition     = google_logging_metric.events["run_failed"].filter == "resource.type=(\"cloud_run_revision\" OR \"ml_job\") AND jsonPayload.event=\"run_finished\" AND jsonPayload.state=(\"failed\" OR \"invalid\") AND NOT jsonPayload.candidate=(true)"
    error_message = google_logging_metric.events["run_failed"].filter
  }

  assert {
    condition     = toset(keys(google_monitoring_dashboard.model)) == toset(keys(var.models))
    error_message = "each model has a dashboard"
  }

  assert {
    condition = [for t in jsondecode(google_monitoring_dashboard.model["prices"].dashboard_json).mosaicLayout.tiles : t.widget.title] == [
      "About prices", "Requests by status, per second", "Latency in ms: median and 99th percentile", "Instances", "Requests by revision, per second",
    ]
    error_message = google_monitoring_dashboard.model["prices"].dashboard_json
  }

  expect_failures = [check.every_owner_has_a_channel]
}

run "eventarc_has_no_dead_letters" {
  command = apply

  variables {
    uploads = { subscription = "eventarc-uploads-sub-1" }
    models  = {}
  }

  assert {
    condition     = [for c in google_monitoring_alert_policy.this["dead-letters/uploads"].conditions : c.display_name] == ["an upload waits for more than an hour"]
    error_message = "conditions on a subscription that is not there"
  }
}

run "a_first_apply_needs_no_address" {
  command = apply

  variables {
    owners = {}
  }

  assert {
    condition     = alltrue([for p in values(google_monitoring_alert_policy.this) : length(coalesce(p.notification_channels, [])) == 0])
    error_message = "alerts go somewhere that nobody named"
  }

  expect_failures = [check.every_owner_has_a_channel]
}

run "the_platform_is_a_label" {
  command = plan

  variables {
    platform_owner = "The Platform"
    models         = {}
  }

  expect_failures = [var.platform_owner]
}

run "an_owner_needs_a_channel" {
  command = plan

  variables {
    owners = { platform = {} }
  }

  expect_failures = [var.owners]
}

run "addresses_are_addresses" {
  command = plan

  variables {
    owners = { platform = { email = "platform" } }
  }

  expect_failures = [var.owners]
}

run "channels_are_channels" {
  command = plan

  variables {
    owners = { platform = { channels = ["#alerts"] } }
  }

  expect_failures = [var.owners]
}

run "limits_are_in_range" {
  command = plan

  variables {
    error_ratio       = 5
    heartbeat_seconds = 300
    latency_p99_ms    = 0
    runbooks          = "docs/runbooks/"
    models            = {}
  }

  expect_failures = [var.error_ratio, var.heartbeat_seconds, var.latency_p99_ms, var.runbooks]
}

run "names_are_model_names" {
  command = plan

  variables {
    models = { Bikes = {} }
  }

  expect_failures = [var.models]
}
