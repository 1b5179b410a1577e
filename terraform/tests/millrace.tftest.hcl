mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = {
      email  = "millrace-mock@millrace-test.iam.gserviceaccount.com"
      member = "serviceAccount:millrace-mock@millrace-test.iam.gserviceaccount.com"
    }
  }

  mock_data "google_project" {
    defaults = { number = "1" }
  }
}

# It has tests of its own, and warns of owners without an address, which these tests would fail on.
override_module {
  target = module.observability
  outputs = {
    channels = { platform = ["projects/millrace-test/notificationChannels/1"] }
    policies = {}
  }
}

variables {
  project = "millrace-test"
  region  = "europe-west1"
}

run "a_project_and_a_region_are_enough" {
  command = apply

  assert {
    condition     = toset(keys(output.predict)) == toset(keys(local.realtime))
    error_message = jsonencode(keys(output.predict))
  }
  assert {
    condition     = alltrue([for s in google_project_service.this : !s.disable_on_destroy])
    error_message = "an API would be switched off"
  }
  assert {
    condition = { for name, j in google_cloud_scheduler_job.sweep : name => "${j.schedule} ${j.http_target[0].uri == "${module.batchtrigger.uri}/${name}"}" } == {
      drain = "* * * * * true", reconcile = "*/5 * * * * true"
    }
    error_message = jsonencode(google_cloud_scheduler_job.sweep)
  }
}

run "both_functions_read_the_same_lease" {
  command = apply

  assert {
    condition     = alltrue([for key in ["START_DEADLINE", "LEASE", "LEASE_MARGIN"] : local.onupload_env[key] == local.batchtrigger_env[key]])
    error_message = jsonencode(local.batchtrigger_env)
  }
}

run "people_may_start_runs" {
  command = apply

  variables {
    operators = ["ops@example.com", "bot@millrace-test.iam.gserviceaccount.com"]
  }

  assert {
    condition     = local.batchtrigger_env.OPERATORS == "millrace-mock@millrace-test.iam.gserviceaccount.com,bot@millrace-test.iam.gserviceaccount.com,ops@example.com"
    error_message = local.batchtrigger_env.OPERATORS
  }
}

run "a_budget_tells_the_platform" {
  command = apply

  variables {
    owners = { platform = { email = "platform@example.com" } }
    budget = { billing_account = "012345-6789AB-CDEF01", amount = 100 }
  }

  assert {
    condition     = google_billing_budget.this["project"].amount[0].specified_amount[0].units == "100" && length(google_billing_budget.this["project"].all_updates_rule[0].monitoring_notification_channels) == 1
    error_message = jsonencode(google_billing_budget.this)
  }
}

run "a_planet_is_refused" {
  command = plan

  variables {
    region = "mars"
  }

  expect_failures = [var.region]
}

run "a_project_in_capitals_is_refused" {
  command = plan

  variables {
    project = "Millrace"
  }

  expect_failures = [var.project]
}

run "a_bucket_in_capitals_is_refused" {
  command = plan

  variables {
    bucket_prefix = "IN!"
  }

  expect_failures = [var.bucket_prefix]
}

run "everybody_is_no_operator" {
  command = plan

  variables {
    operators = ["*"]
  }

  expect_failures = [var.operators]
}

run "an_environment_without_files_is_refused" {
  command = plan

  variables {
    environment = "staging"
  }

  expect_failures = [var.environment]
}

run "a_key_of_another_region_is_refused" {
  command = plan

  variables {
    kms_key = "projects/millrace-test/locations/us-central1/keyRings/r/cryptoKeys/k"
  }

  expect_failures = [var.kms_key]
}

run "two_ways_into_the_network_are_refused" {
  command = plan

  variables {
    vpc_connector  = "projects/millrace-test/locations/europe-west1/connectors/c"
    vpc_subnetwork = "projects/millrace-test/regions/europe-west1/subnetworks/s"
  }

  expect_failures = [var.vpc_connector]
}

run "an_owner_who_cannot_be_told_is_refused" {
  command = plan

  variables {
    owners = { platform = {} }
  }

  expect_failures = [var.owners]
}

run "an_address_that_is_none_is_refused" {
  command = plan

  variables {
    owners = { platform = { email = "nobody" } }
  }

  expect_failures = [var.owners]
}

run "a_budget_of_nothing_is_refused" {
  command = plan

  variables {
    budget = { billing_account = "012345-6789AB-CDEF01", amount = 0 }
  }

  expect_failures = [var.budget]
}
