locals {
  state_bucket = coalesce(var.state_bucket, "${var.project}-terraform")
}

module "delivery" {
  source = "./modules/delivery"

  project        = var.project
  project_number = data.google_project.this.number
  region         = var.region
  environment    = var.environment
  repository     = var.repository
  github         = var.github
  approval       = var.approval
  terraformer    = var.terraformer
  buckets        = { artifacts = module.storage.names.artifacts, staging = module.storage.names.staging, state = local.state_bucket }

  depends_on = [google_project_service.this]
}
