mock_provider "google" {}

variables {
  project  = "millrace-test"
  location = "europe-west1"
  prefix   = "millrace-test"
  labels   = { owner = "platform" }
}

run "all_are_closed" {
  command = apply

  assert {
    condition     = toset(values(output.names)) == toset(["millrace-test-inbox", "millrace-test-outbox", "millrace-test-staging", "millrace-test-artifacts", "run-sources-millrace-test-europe-west1"])
    error_message = jsonencode(output.names)
  }
  assert {
    condition     = alltrue([for b in google_storage_bucket.this : b.uniform_bucket_level_access && b.public_access_prevention == "enforced" && !b.force_destroy && b.labels["owner"] == "platform"])
    error_message = jsonencode(google_storage_bucket.this)
  }
}

run "what_is_overwritten_or_deleted_can_be_had_again" {
  command = apply

  assert {
    condition     = alltrue([for k in ["inbox", "outbox", "artifacts"] : google_storage_bucket.this[k].versioning[0].enabled && google_storage_bucket.this[k].soft_delete_policy[0].retention_duration_seconds == 604800])
    error_message = jsonencode(google_storage_bucket.this["inbox"])
  }
}

run "results_stay_and_scratch_goes" {
  command = apply

  assert {
    condition     = [for r in google_storage_bucket.this["staging"].lifecycle_rule : one(r.condition).age if one(r.action).type == "Delete"] == [30]
    error_message = jsonencode(google_storage_bucket.this["staging"].lifecycle_rule)
  }
  assert {
    condition     = alltrue([for k in ["inbox", "outbox", "artifacts"] : length([for r in google_storage_bucket.this[k].lifecycle_rule : r if one(r.action).type == "Delete" && one(r.condition).with_state != "ARCHIVED"]) == 0])
    error_message = "objects are deleted by their age"
  }
  assert {
    condition     = alltrue([for b in google_storage_bucket.this : contains([for r in b.lifecycle_rule : one(r.action).type], "AbortIncompleteMultipartUpload")])
    error_message = "broken uploads stay"
  }
}

run "a_retention" {
  command = apply

  variables {
    retention_days = { inbox = 90 }
  }

  assert {
    condition     = contains([for r in google_storage_bucket.this["inbox"].lifecycle_rule : one(r.condition).age if one(r.action).type == "Delete"], 90)
    error_message = jsonencode(google_storage_bucket.this["inbox"].lifecycle_rule)
  }
}

run "a_key" {
  command = apply

  variables {
    kms_key = "projects/millrace-test/locations/europe-west1/keyRings/r/cryptoKeys/k"
  }

  assert {
    condition     = alltrue([for b in google_storage_bucket.this : b.encryption[0].default_kms_key_name == var.kms_key])
    error_message = "a bucket has another key"
  }
}

run "capitals_are_refused" {
  command = plan

  variables {
    prefix = "IN!"
  }

  expect_failures = [var.prefix]
}

run "a_name_of_google_is_refused" {
  command = plan

  variables {
    prefix = "google-bikes"
  }

  expect_failures = [var.prefix]
}

run "a_retention_shorter_than_a_run_is_refused" {
  command = plan

  variables {
    retention_days = { inbox = 7 }
  }

  expect_failures = [var.retention_days]
}

run "a_soft_deletion_of_three_days_is_refused" {
  command = plan

  variables {
    soft_delete_days = 3
  }

  expect_failures = [var.soft_delete_days]
}

run "a_name_that_gcloud_could_not_make_is_refused" {
  command = plan

  variables {
    project  = "a-project-of-thirty-characters"
    location = "northamerica-northeast1"
  }

  expect_failures = [google_storage_bucket.this["run_sources"]]
}
