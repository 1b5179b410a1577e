# The order of a first apply: APIs, then the agents that Google makes for them, then the rest.
locals {
  regions = split(" ", join(" ", [
    "africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1 asia-south2",
    "asia-southeast1 asia-southeast2 asia-southeast3 australia-southeast1 australia-southeast2 europe-central2 europe-north1",
    "europe-north2 europe-southwest1 europe-west1 europe-west10 europe-west12 europe-west2 europe-west3 europe-west4",
    "europe-west6 europe-west8 europe-west9 me-central1 me-central2 me-west1 northamerica-northeast1 northamerica-northeast2",
    "northamerica-south1 southamerica-east1 southamerica-west1 us-central1 us-east1 us-east4 us-east5 us-south1 us-west1",
    "us-west2 us-west3 us-west4",
  ]))

  apis = toset(concat(
    [
      "aiplatform.googleapis.com", "artifactregistry.googleapis.com", "cloudbuild.googleapis.com", "cloudresourcemanager.googleapis.com",
      "cloudscheduler.googleapis.com", "firestore.googleapis.com", "iam.googleapis.com", "iamcredentials.googleapis.com", "logging.googleapis.com",
      "monitoring.googleapis.com", "pubsub.googleapis.com", "run.googleapis.com", "serviceusage.googleapis.com", "storage.googleapis.com",
    ],
    var.events == "eventarc" ? ["eventarc.googleapis.com"] : [],
    var.github == null ? [] : ["sts.googleapis.com"],
    var.kms_key == null ? [] : ["cloudkms.googleapis.com"],
    var.budget == null ? [] : ["billingbudgets.googleapis.com"],
    var.vpc_connector == null ? [] : ["vpcaccess.googleapis.com"],
    local.network == null ? [] : ["compute.googleapis.com"],
  ))
}

# An API that leaves this list stays enabled: others may use it.
resource "google_project_service" "this" {
  for_each = local.apis

  project            = var.project
  service            = each.value
  disable_on_destroy = false
}

# Neither of the two has a depends_on: it would be read only during the apply then, and every grant would be made anew.
data "google_project" "this" {
  project_id = var.project
}

# Reading it makes the agent.
data "google_storage_project_service_account" "this" {
  project = var.project
}

locals {
  # Google's agents are named after the project's number.
  agents = {
    for name, domain in {
      artifactregistry = "gcp-sa-artifactregistry"
      eventarc         = "gcp-sa-eventarc"
      firestore        = "gcp-sa-firestore"
      pubsub           = "gcp-sa-pubsub"
      run              = "serverless-robot-prod"
      storage          = "gs-project-accounts"
    } : name => "serviceAccount:service-${data.google_project.this.number}@${domain}.iam.gserviceaccount.com"
  }
}

# Whoever encrypts for us needs the key before the first bucket, topic or image.
resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = var.kms_key == null ? toset([]) : toset(["artifactregistry", "firestore", "pubsub", "run", "storage"])

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = local.agents[each.value]

  depends_on = [google_project_service.this, data.google_storage_project_service_account.this]
}
