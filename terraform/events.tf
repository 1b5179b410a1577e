module "events" {
  source = "./modules/events"

  project  = var.project
  region   = var.region
  bucket   = module.storage.names.inbox
  location = module.storage.location
  delivery = var.events
  service  = { name = module.onupload.name, uri = module.onupload.uri }
  agents   = { storage = local.agents.storage, pubsub = local.agents.pubsub, eventarc = local.agents.eventarc }
  kms_key  = var.kms_key
  labels   = local.labels

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent, data.google_storage_project_service_account.this]
}
