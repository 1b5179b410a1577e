mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = {
      email  = "millrace-mock@millrace-test.iam.gserviceaccount.com"
      member = "serviceAccount:millrace-mock@millrace-test.iam.gserviceaccount.com"
    }
  }
}

variables {
  project        = "millrace-test"
  project_number = "1"
  region         = "europe-west1"
  environment    = "prod"
  buckets        = { artifacts = "millrace-test-artifacts", staging = "millrace-test-staging", state = "millrace-test-terraform" }
}

run "without_a_repository_there_is_no_trigger_and_nobody_signs_in" {
  command = apply

  assert {
    condition     = length(google_cloudbuild_trigger.this) + length(google_iam_workload_identity_pool.github) == 0 && output.provider == null
    error_message = "something waits for a repository"
  }
  assert {
    condition     = toset(keys(output.emails)) == toset(["deployer", "tester", "builder"])
    error_message = jsonencode(keys(output.emails))
  }
}

run "the_tester_has_logs_alone" {
  command = apply

  assert {
    condition     = [for key, grant in google_project_iam_member.this : grant.role if startswith(key, "tester ")] == ["roles/logging.logWriter"]
    error_message = jsonencode(google_project_iam_member.this)
  }
}

run "pull_requests_deploy_nothing" {
  command = apply

  variables {
    repository = "projects/millrace-test/locations/europe-west1/connections/github/repositories/millrace"
  }

  assert {
    condition = { for name, t in google_cloudbuild_trigger.this : name => t.substitutions["_DEPLOY"] } == {
      pull-request = "false", main = "true", terraform-plan = "false", terraform-apply = "true"
    }
    error_message = jsonencode({ for name, t in google_cloudbuild_trigger.this : name => t.substitutions })
  }
  assert {
    condition = { for name, t in google_cloudbuild_trigger.this : name => reverse(split("/", t.service_account))[0] } == {
      pull-request   = "tester@millrace-test.iam.gserviceaccount.com", main = "deployer@millrace-test.iam.gserviceaccount.com",
      terraform-plan = "terraformer@millrace-test.iam.gserviceaccount.com", terraform-apply = "terraformer@millrace-test.iam.gserviceaccount.com"
    }
    error_message = jsonencode({ for name, t in google_cloudbuild_trigger.this : name => t.service_account })
  }
  assert {
    condition = { for name, t in google_cloudbuild_trigger.this : name => t.approval_config[0].approval_required } == {
      pull-request = false, main = false, terraform-plan = true, terraform-apply = true
    }
    error_message = "what changes the infrastructure waits for nobody"
  }
  assert {
    condition     = alltrue([for name, t in google_cloudbuild_trigger.this : length(t.repository_event_config[0].push) == (contains(["main", "terraform-apply"], name) ? 1 : 0) && length(t.repository_event_config[0].pull_request) == (contains(["main", "terraform-apply"], name) ? 0 : 1)])
    error_message = "a trigger answers to the wrong event"
  }
}

run "production_waits_for_a_person_twice" {
  command = apply

  variables {
    repository = "projects/millrace-test/locations/europe-west1/connections/github/repositories/millrace"
    approval   = { deploy = true }
  }

  assert {
    condition     = google_cloudbuild_trigger.this["main"].approval_config[0].approval_required && google_cloudbuild_trigger.this["terraform-apply"].approval_config[0].approval_required
    error_message = "a deployment waits for nobody"
  }
}

run "only_pushes_to_main_of_the_repository_sign_in" {
  command = apply

  variables {
    github = { repository = "millrace-ml/millrace", id = "42" }
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github["github"].attribute_condition == "assertion.repository == 'millrace-ml/millrace' && assertion.repository_id == '42' && assertion.ref == 'refs/heads/main' && assertion.event_name == 'push'"
    error_message = google_iam_workload_identity_pool_provider.github["github"].attribute_condition
  }
  assert {
    condition     = google_service_account_iam_member.github["github"].member == "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/github/attribute.repository/millrace-ml/millrace"
    error_message = google_service_account_iam_member.github["github"].member
  }
}

run "a_repository_in_another_region_is_refused" {
  command = plan

  variables {
    repository = "projects/millrace-test/locations/us-central1/connections/github/repositories/millrace"
  }

  expect_failures = [google_cloudbuild_trigger.this]
}

run "an_address_of_github_is_refused" {
  command = plan

  variables {
    github = { repository = "https://github.com/millrace-ml/millrace" }
  }

  expect_failures = [var.github]
}

run "a_condition_in_a_branch_is_refused" {
  command = plan

  variables {
    github = { repository = "millrace-ml/millrace", branch = "main' || true || '" }
  }

  expect_failures = [var.github]
}

run "a_repository_of_the_first_generation_is_refused" {
  command = plan

  variables {
    repository = "millrace"
  }

  expect_failures = [var.repository]
}
