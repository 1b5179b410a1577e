module "storage" {
  source = "./modules/storage"

  project          = var.project
  location         = var.region
  prefix           = coalesce(var.bucket_prefix, var.project)
  retention_days   = var.retention_days
  soft_delete_days = var.soft_delete_days
  force_destroy    = var.force_destroy
  kms_key          = var.kms_key
  labels           = local.labels

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}

module "ledger" {
  source = "./modules/ledger"

  project             = var.project
  name                = var.firestore_database
  location            = coalesce(var.firestore_location, var.region)
  indexes             = jsondecode(file("${path.module}/../shared/ledger/indexes.json")).indexes
  deletion_protection = var.deletion_protection
  kms_key             = var.kms_key

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}

module "registry" {
  source = "./modules/registry"

  project  = var.project
  location = var.region
  kms_key  = var.kms_key
  labels   = local.labels

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}
