# The functions. Their env is the Config of each binary: internal/iac/config holds the two equal.
locals {
  labels = { owner = var.platform_owner }

  network = var.vpc_connector == null && var.vpc_subnetwork == null ? null : { connector = var.vpc_connector, subnetwork = var.vpc_subnetwork, egress = var.vpc_egress }

  # Settings of a function that starts runs. Both must agree on how long a starter is left alone.
  batch_env = {
    GOOGLE_CLOUD_PROJECT     = var.project
    REGION                   = var.region
    FIRESTORE_DATABASE       = var.firestore_database
    INBOX_BUCKET             = module.storage.names.inbox
    OUTBOX_BUCKET            = module.storage.names.outbox
    STAGING_BUCKET           = module.storage.names.staging
    ARTIFACTS_BUCKET         = module.storage.names.artifacts
    PIPELINE_SERVICE_ACCOUNT = google_service_account.pipeline_runner.email
    START_DEADLINE           = "8s"
    LEASE                    = "10s"
    LEASE_MARGIN             = "5s"
  }

  onupload_env = local.batch_env

  batchtrigger_env = merge(local.batch_env, {
    OPERATORS     = join(",", concat([module.delivery.emails.deployer], sort(var.operators)))
    DEADLINE      = "175s" # the attempt deadline of the jobs, less 5 s
    SWEEP_SINCE   = module.storage.created
    SWEEP_MIN_AGE = "120s"
  })

  predict_env = {
    GOOGLE_CLOUD_PROJECT = var.project
  }
}

module "predict" {
  source   = "./modules/function"
  for_each = local.realtime

  project             = var.project
  region              = var.region
  name                = "predict-${each.key}"
  labels              = { owner = coalesce(each.value.owner, var.platform_owner), model = each.key }
  env                 = local.predict_env
  memory              = each.value.memory
  cpu                 = each.value.cpu
  concurrency         = each.value.concurrency
  timeout             = tonumber(trimsuffix(trimsuffix(trimsuffix(each.value.timeout, "s"), "m"), "h")) * local.seconds[substr(each.value.timeout, -1, 1)]
  scale               = each.value.scale
  invokers            = each.value.invokers
  deployer            = module.delivery.members.deployer
  kms_key             = var.kms_key
  network             = local.network
  deletion_protection = var.deletion_protection

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent, terraform_data.manifests]
}

module "onupload" {
  source = "./modules/function"

  project             = var.project
  region              = var.region
  name                = "onupload"
  labels              = local.labels
  env                 = local.onupload_env
  memory              = "512Mi"
  concurrency         = 20
  timeout             = 60 # the deadline of the subscription
  deployer            = module.delivery.members.deployer
  kms_key             = var.kms_key
  network             = local.network
  deletion_protection = var.deletion_protection

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}

module "batchtrigger" {
  source = "./modules/function"

  project             = var.project
  region              = var.region
  name                = "batchtrigger"
  labels              = local.labels
  env                 = local.batchtrigger_env
  memory              = "512Mi"
  concurrency         = 20
  timeout             = 180
  deployer            = module.delivery.members.deployer
  invokers            = [for o in sort(var.operators) : "${endswith(o, ".gserviceaccount.com") ? "serviceAccount" : "user"}:${o}"]
  kms_key             = var.kms_key
  network             = local.network
  deletion_protection = var.deletion_protection

  depends_on = [google_project_service.this, google_kms_crypto_key_iam_member.agent]
}
