mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = {
      email  = "millrace-mock@millrace-test.iam.gserviceaccount.com"
      member = "serviceAccount:millrace-mock@millrace-test.iam.gserviceaccount.com"
    }
  }
}

variables {
  project  = "millrace-test"
  region   = "europe-west1"
  location = "europe-west1"
  bucket   = "millrace-test-inbox"
  labels   = { owner = "platform" }
  service  = { name = "onupload", uri = "https://onupload.run.invalid" }
  agents = {
    storage  = "serviceAccount:service-1@gs-project-accounts.iam.gserviceaccount.com"
    pubsub   = "serviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com"
    eventarc = "serviceAccount:service-1@gcp-sa-eventarc.iam.gserviceaccount.com"
  }
}

run "an_upload_is_pushed_with_a_token" {
  command = apply

  assert {
    condition = alltrue([
      google_storage_notification.uploads["uploads"].event_types == toset(["OBJECT_FINALIZE"]),
      google_pubsub_topic_iam_member.storage["uploads"].member == var.agents.storage,
      google_pubsub_subscription.push["uploads"].push_config[0].push_endpoint == "https://onupload.run.invalid/projects/millrace-test/topics/uploads",
      google_pubsub_subscription.push["uploads"].push_config[0].oidc_token[0].audience == "https://onupload.run.invalid",
      google_pubsub_subscription.push["uploads"].push_config[0].oidc_token[0].service_account_email == google_service_account.push.email,
      google_cloud_run_v2_service_iam_member.push.name == "onupload",
      length(google_pubsub_subscription.push["uploads"].push_config[0].no_wrapper) == 0,
    ])
    error_message = jsonencode(google_pubsub_subscription.push["uploads"].push_config)
  }
}

run "what_is_given_up_is_kept" {
  command = apply

  assert {
    condition = alltrue([
      google_pubsub_subscription.push["uploads"].dead_letter_policy[0].dead_letter_topic == google_pubsub_topic.dead["uploads"].id,
      google_pubsub_subscription.push["uploads"].dead_letter_policy[0].max_delivery_attempts > 10,
      google_pubsub_subscription.dead["uploads"].topic == google_pubsub_topic.dead["uploads"].id,
      google_pubsub_topic_iam_member.dead["uploads"].topic == "uploads-dead",
      google_pubsub_topic_iam_member.dead["uploads"].member == var.agents.pubsub,
      google_pubsub_subscription_iam_member.dead["uploads"].subscription == "uploads-push",
      output.dead_letters == "uploads-dead",
    ])
    error_message = "dead letters are lost"
  }
  assert {
    condition     = alltrue([for s in [google_pubsub_subscription.push["uploads"], google_pubsub_subscription.dead["uploads"]] : s.expiration_policy[0].ttl == ""])
    error_message = "a subscription expires"
  }
}

run "eventarc_in_its_place" {
  command = apply

  variables {
    delivery = "eventarc"
  }

  assert {
    condition     = length(google_pubsub_subscription.push) + length(google_pubsub_topic.uploads) + length(google_storage_notification.uploads) == 0
    error_message = "an upload is told twice"
  }
  assert {
    condition = alltrue([
      google_eventarc_trigger.uploads["uploads"].location == "europe-west1",
      google_eventarc_trigger.uploads["uploads"].destination[0].cloud_run_service[0].service == "onupload",
      google_project_iam_member.agent["uploads"].role == "roles/eventarc.serviceAgent",
      google_project_iam_member.publisher["uploads"].member == var.agents.storage,
      output.dead_letters == null,
    ])
    error_message = jsonencode(google_eventarc_trigger.uploads["uploads"])
  }
}

run "a_trigger_lies_where_its_bucket_does" {
  command = plan

  variables {
    delivery = "eventarc"
    location = "EU"
  }

  expect_failures = [google_eventarc_trigger.uploads["uploads"]]
}

run "another_delivery_is_refused" {
  command = plan

  variables {
    delivery = "pull"
  }

  expect_failures = [var.delivery]
}
