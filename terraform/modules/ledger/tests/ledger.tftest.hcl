mock_provider "google" {}

variables {
  project  = "millrace-test"
  location = "europe-west1"
  indexes = [
    { collectionGroup = "runs", queryScope = "COLLECTION", fields = [{ fieldPath = "model", order = "ASCENDING" }, { fieldPath = "created", order = "DESCENDING" }] },
    { collectionGroup = "runs", queryScope = "COLLECTION", fields = [{ fieldPath = "state", order = "ASCENDING" }, { fieldPath = "created", order = "DESCENDING" }] },
  ]
}

run "the_record_is_protected" {
  command = apply

  assert {
    condition = alltrue([
      google_firestore_database.this.type == "FIRESTORE_NATIVE",
      google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_ENABLED",
      google_firestore_database.this.deletion_policy == "ABANDON",
      google_firestore_database.this.point_in_time_recovery_enablement == "POINT_IN_TIME_RECOVERY_ENABLED",
    ])
    error_message = jsonencode(google_firestore_database.this)
  }
}

run "indexes_are_those_that_are_given" {
  command = apply

  assert {
    condition     = toset(keys(google_firestore_index.this)) == toset(["runs/model ascending/created descending", "runs/state ascending/created descending"])
    error_message = jsonencode(keys(google_firestore_index.this))
  }
  assert {
    condition     = [for f in google_firestore_index.this["runs/model ascending/created descending"].fields : "${f.field_path} ${f.order}"] == ["model ASCENDING", "created DESCENDING"]
    error_message = jsonencode(google_firestore_index.this["runs/model ascending/created descending"].fields)
  }
}

run "grants_name_the_database" {
  command = apply

  variables {
    name = "millrace"
  }

  assert {
    condition     = output.condition == "resource.name == \"projects/millrace-test/databases/millrace\""
    error_message = output.condition
  }
}

run "protection_can_be_taken_off" {
  command = apply

  variables {
    deletion_protection = false
  }

  assert {
    condition     = google_firestore_database.this.delete_protection_state == "DELETE_PROTECTION_DISABLED" && google_firestore_database.this.deletion_policy == "DELETE"
    error_message = jsonencode(google_firestore_database.this)
  }
}

run "no_index_is_refused" {
  command = plan

  variables {
    indexes = []
  }

  expect_failures = [var.indexes]
}

run "a_misspelt_order_is_refused" {
  command = plan

  variables {
    indexes = [{ collectionGroup = "runs", queryScope = "COLLECTION", fields = [{ fieldPath = "model", order = "ASC" }] }]
  }

  expect_failures = [var.indexes]
}

run "a_short_name_is_refused" {
  command = plan

  variables {
    name = "x"
  }

  expect_failures = [var.name]
}
