# In place of the subscription. There are no dead letters here: an event that is refused for 24 hours is gone, and only the
# sweep of reconcile finds its object.
resource "google_project_iam_member" "receiver" {
  for_each = local.eventarc

  project = var.project
  role    = "roles/eventarc.eventReceiver"
  member  = google_service_account.push.member
}

# Eventarc makes the topic, so the grant cannot be on it.
resource "google_project_iam_member" "publisher" {
  for_each = local.eventarc

  project = var.project
  role    = "roles/pubsub.publisher"
  member  = var.agents.storage
}

# Google grants it by itself, but late: a first apply would be refused.
resource "google_project_iam_member" "agent" {
  for_each = local.eventarc

  project = var.project
  role    = "roles/eventarc.serviceAgent"
  member  = var.agents.eventarc
}

resource "google_eventarc_trigger" "uploads" {
  for_each = local.eventarc

  project         = var.project
  name            = "uploads"
  location        = lower(var.location)
  service_account = google_service_account.push.email
  labels          = local.labels

  matching_criteria {
    attribute = "type"
    value     = "google.cloud.storage.object.v1.finalized"
  }

  matching_criteria {
    attribute = "bucket"
    value     = var.bucket
  }

  destination {
    cloud_run_service {
      service = var.service.name
      region  = var.region
    }
  }

  lifecycle {
    precondition {
      condition     = lower(var.location) == var.region
      error_message = "location is ${lower(var.location)}, expected that of the bucket to be the region, ${var.region}: a trigger lies where its bucket does."
    }
  }

  depends_on = [
    google_project_iam_member.receiver,
    google_project_iam_member.publisher,
    google_project_iam_member.agent,
    google_cloud_run_v2_service_iam_member.push,
  ]
}
