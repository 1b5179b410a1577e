mock_provider "google" {}

variables {
  project = "millrace-test"
  region  = "europe-west1"
  model   = "the-longest-of-names-x"
  caller  = "batchtrigger-tick@millrace-test.iam.gserviceaccount.com"
  uri     = "https://batchtrigger.run.invalid"
}

run "a_tick_carries_model_and_schedule" {
  command = apply

  variables {
    schedules = {
      a-name-of-forty-characters-is-the-longes = { cron = "15 2 * * *", zone = "America/New_York" }
      hourly                                   = { cron = "5 * * * *" }
    }
  }

  assert {
    condition = toset([for j in google_cloud_scheduler_job.tick : j.name]) == toset([
      "the-longest-of-names-x-a-name-of-forty-characters-is-the-longes", "the-longest-of-names-x-hourly",
    ]) && alltrue([for j in google_cloud_scheduler_job.tick : length(j.name) <= 500])
    error_message = jsonencode([for j in google_cloud_scheduler_job.tick : j.name])
  }
  assert {
    condition     = base64decode(google_cloud_scheduler_job.tick["hourly"].http_target[0].body) == jsonencode({ model = "the-longest-of-names-x", schedule = "hourly" })
    error_message = base64decode(google_cloud_scheduler_job.tick["hourly"].http_target[0].body)
  }
  assert {
    condition = alltrue([for j in google_cloud_scheduler_job.tick :
      j.http_target[0].uri == "${var.uri}/ticks" && j.http_target[0].oidc_token[0].audience == var.uri && j.http_target[0].oidc_token[0].service_account_email == var.caller &&
      j.attempt_deadline == "180s" && j.retry_config[0].retry_count == 5
    ])
    error_message = jsonencode(google_cloud_scheduler_job.tick["hourly"])
  }
  assert {
    condition     = google_cloud_scheduler_job.tick["hourly"].time_zone == "Etc/UTC"
    error_message = "the zone is ${google_cloud_scheduler_job.tick["hourly"].time_zone}"
  }
}

run "a_model_without_schedules_has_no_job" {
  command = apply

  assert {
    condition     = length(google_cloud_scheduler_job.tick) == 0
    error_message = jsonencode(google_cloud_scheduler_job.tick)
  }
}

run "crontabs_of_all_forms" {
  command = apply

  variables {
    schedules = {
      a = { cron = "*/15 0-6,18-23 1,15 JAN-MAR mon-fri" }
      b = { cron = "0 6 * * mon,fri" }
      c = { cron = "59 23 31 12 6" }
      d = { cron = "5-55/10 09 * * 0" }
    }
  }
}

run "hour_25_is_refused" {
  command = plan

  variables {
    schedules = { nightly = { cron = "0 25 * * *" } }
  }

  expect_failures = [var.schedules]
}

run "minute_60_is_refused" {
  command = plan

  variables {
    schedules = { nightly = { cron = "60 0 * * *" } }
  }

  expect_failures = [var.schedules]
}

run "six_fields_is_refused" {
  command = plan

  variables {
    schedules = { nightly = { cron = "0 0 2 * * *" } }
  }

  expect_failures = [var.schedules]
}

run "a_word_is_refused" {
  command = plan

  variables {
    schedules = { nightly = { cron = "@daily" } }
  }

  expect_failures = [var.schedules]
}

run "day_0_is_refused" {
  command = plan

  variables {
    schedules = { nightly = { cron = "0 0 0 * *" } }
  }

  expect_failures = [var.schedules]
}

run "month_13_is_refused" {
  command = plan

  variables {
    schedules = { nightly = { cron = "0 0 1 13 *" } }
  }

  expect_failures = [var.schedules]
}

run "day_7_of_a_week_is_refused" {
  command = plan

  variables {
    schedules = { nightly = { cron = "0 0 * * 7" } }
  }

  expect_failures = [var.schedules]
}

run "no_cron_is_refused" {
  command = plan

  variables {
    schedules = { nightly = { cron = "" } }
  }

  expect_failures = [var.schedules]
}

run "the_zone_of_a_machine_is_refused" {
  command = plan

  variables {
    schedules = { nightly = { cron = "0 2 * * *", zone = "Local" } }
  }

  expect_failures = [var.schedules]
}

run "a_name_in_capitals_is_refused" {
  command = plan

  variables {
    schedules = { Nightly = { cron = "0 2 * * *" } }
  }

  expect_failures = [var.schedules]
}

run "a_model_that_is_none_is_refused" {
  command = plan

  variables {
    model = "the-longest-of-names-xx"
  }

  expect_failures = [var.model]
}
