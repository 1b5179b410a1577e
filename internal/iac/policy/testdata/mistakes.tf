# a misspelt attribute
resource "google_cloud_scheduler_job" "misspelt_attribute" {
  name             = "tick"
  schedule         = "0 4 * * *"
  attempt_deadlin = "180s"
  http_target {
    uri = "https://example.com"
  }
}

# a misspelt block
resource "google_pubsub_subscription" "misspelt_block" {
  name  = "uploads"
  topic = "uploads"
  dead_leter_policy {
    max_delivery_attempts = 20
  }
}

# a missing attribute
resource "google_storage_notification" "missing_attribute" {
  bucket = "inbox"
  topic  = "uploads"
}

# a missing block
resource "google_cloud_run_v2_service" "missing_block" {
  name     = "onupload"
  location = "europe-west1"
}

# a value of the wrong type
resource "google_pubsub_subscription" "wrong_type" {
  name                 = "uploads"
  topic                = "uploads"
  ack_deadline_seconds = "one minute"
}

# two blocks where one is allowed
resource "google_pubsub_subscription" "two_blocks" {
  name  = "uploads"
  topic = "uploads"
  expiration_policy {
    ttl = ""
  }
  expiration_policy {
    ttl = "2678400s"
  }
}

# a type of the beta provider
resource "google_project_service_identity" "beta_type" {
  service = "pubsub.googleapis.com"
}

# an attribute that only Google sets
resource "google_cloud_run_v2_service" "read_only" {
  name     = "onupload"
  location = "europe-west1"
  uri      = "https://example.com"
  template {}
}

# an ingress that does not exist
resource "google_cloud_run_v2_service" "ingress" {
  name     = "onupload"
  location = "europe-west1"
  ingress  = "INGRESS_TRAFFIC_INTERNAL"
  template {}
}

# a member without its kind
resource "google_storage_bucket_iam_member" "member" {
  bucket = "inbox"
  role   = "roles/storage.objectViewer"
  member = "onupload@p.iam.gserviceaccount.com"
}

# a job that calls nobody
resource "google_cloud_scheduler_job" "no_target" {
  name     = "tick"
  schedule = "0 4 * * *"
}

# a dashboard that is no JSON
resource "google_monitoring_dashboard" "no_json" {
  dashboard_json = "{displayName: \"bikes\"}"
}

# a timeout without its unit
resource "google_cloud_run_v2_service" "timeout" {
  name     = "onupload"
  location = "europe-west1"
  template {
    timeout = "60"
  }
}

# a body that is not base64
resource "google_cloud_scheduler_job" "body" {
  name     = "tick"
  schedule = "0 4 * * *"
  http_target {
    uri  = "https://example.com"
    body = "{\"model\": \"bikes\"}"
  }
}

# a job that calls two
resource "google_cloud_scheduler_job" "two_targets" {
  name     = "tick"
  schedule = "0 4 * * *"
  http_target {
    uri = "https://example.com"
  }
  pubsub_target {
    topic_name = "projects/p/topics/ticks"
    data       = "e30="
  }
}

# a way into the network given twice
resource "google_cloud_run_v2_service" "network" {
  name     = "onupload"
  location = "europe-west1"
  template {
    vpc_access {
      connector = "projects/p/locations/europe-west1/connectors/c"
      network_interfaces {
        network = "default"
      }
    }
  }
}
