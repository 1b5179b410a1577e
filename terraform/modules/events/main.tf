# From an upload to the function: bucket notification, topic, push subscription; what is given up is kept.
locals {
  push     = var.delivery == "push" ? { uploads = true } : {}
  eventarc = var.delivery == "eventarc" ? { uploads = true } : {}
  labels   = merge(var.labels, { managed-by = "millrace" })
}

# Only this account calls, and it calls nothing else. Pub/Sub's agent makes its tokens by the agent's own role.
resource "google_service_account" "push" {
  project      = var.project
  account_id   = "${var.service.name}-push"
  display_name = "Delivers uploads to ${var.service.name}"
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  project  = var.project
  location = var.region
  name     = var.service.name
  role     = "roles/run.servicesInvoker"
  member   = google_service_account.push.member
}

resource "google_pubsub_topic" "uploads" {
  for_each = local.push

  project      = var.project
  name         = "uploads"
  kms_key_name = var.kms_key
  labels       = local.labels
}

resource "google_pubsub_topic_iam_member" "storage" {
  for_each = local.push

  project = var.project
  topic   = google_pubsub_topic.uploads[each.key].name
  role    = "roles/pubsub.publisher"
  member  = var.agents.storage
}

# All of the bucket: a new model's prefix changes nothing here. The function knows the prefixes from the releases.
resource "google_storage_notification" "uploads" {
  for_each = local.push

  bucket         = var.bucket
  topic          = google_pubsub_topic.uploads[each.key].id
  payload_format = "JSON_API_V1"
  event_types    = ["OBJECT_FINALIZE"]

  depends_on = [google_pubsub_topic_iam_member.storage]
}

resource "google_pubsub_subscription" "push" {
  for_each = local.push

  project                    = var.project
  name                       = "uploads-push"
  topic                      = google_pubsub_topic.uploads[each.key].id
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"
  labels                     = local.labels

  push_config {
    push_endpoint = "${var.service.uri}/projects/${var.project}/topics/${google_pubsub_topic.uploads[each.key].name}"

    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = var.service.uri
    }
  }

  # Waiting for another request's lease takes up to 10 attempts.
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead[each.key].id
    max_delivery_attempts = 20
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }

  depends_on = [google_cloud_run_v2_service_iam_member.push, google_pubsub_topic_iam_member.dead]
}

resource "google_pubsub_topic" "dead" {
  for_each = local.push

  project      = var.project
  name         = "uploads-dead"
  kms_key_name = var.kms_key
  labels       = local.labels
}

# A topic without a subscription keeps nothing.
resource "google_pubsub_subscription" "dead" {
  for_each = local.push

  project                    = var.project
  name                       = "uploads-dead"
  topic                      = google_pubsub_topic.dead[each.key].id
  ack_deadline_seconds       = 60
  message_retention_duration = "2678400s"
  labels                     = local.labels

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "dead" {
  for_each = local.push

  project = var.project
  topic   = google_pubsub_topic.dead[each.key].name
  role    = "roles/pubsub.publisher"
  member  = var.agents.pubsub
}

resource "google_pubsub_subscription_iam_member" "dead" {
  for_each = local.push

  project      = var.project
  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = var.agents.pubsub
}
