# Who may do what beyond calling and deploying, which stands in the modules. Every role is on the resource where the resource
# has one.
resource "google_service_account" "pipeline_runner" {
  project      = var.project
  account_id   = "pipeline-runner"
  display_name = "Runs the pipelines' steps"

  depends_on = [google_project_service.this]
}

# aiplatform.user would also delete models and endpoints.
resource "google_project_iam_custom_role" "submitter" {
  project     = var.project
  role_id     = "millraceSubmitter"
  title       = "Millrace: submits pipelines"
  description = "Starts, watches and cancels pipeline jobs"
  permissions = ["aiplatform.pipelineJobs.cancel", "aiplatform.pipelineJobs.create", "aiplatform.pipelineJobs.get", "aiplatform.pipelineJobs.list"]

  depends_on = [google_project_service.this]
}

locals {
  members = merge(module.delivery.members, {
    onupload        = module.onupload.member
    batchtrigger    = module.batchtrigger.member
    pipeline-runner = google_service_account.pipeline_runner.member
  })

  # by account, by bucket
  bucket_roles = {
    onupload = {
      inbox     = ["roles/storage.objectViewer"]
      artifacts = ["roles/storage.objectViewer"] # released pointers and specs
    }
    batchtrigger = {
      inbox     = ["roles/storage.objectViewer"] # reconcile lists it
      outbox    = ["roles/storage.objectViewer"] # _SUCCESS.json
      staging   = ["roles/storage.objectViewer"] # verdict.json
      artifacts = ["roles/storage.objectViewer"]
    }
    pipeline-runner = {
      inbox     = ["roles/storage.objectViewer"]
      outbox    = ["roles/storage.objectCreator", "roles/storage.objectViewer"]    # nothing published can be deleted
      staging   = ["roles/storage.legacyBucketReader", "roles/storage.objectUser"] # a retry overwrites; KFP reads the bucket
      artifacts = ["roles/storage.objectViewer"]
    }
    deployer = {
      artifacts   = ["roles/storage.objectUser"] # records, leases, releases
      staging     = ["roles/storage.objectUser"] # the dataset and the output of a trial
      run_sources = ["roles/storage.objectUser"]
    }
    tester = {
      artifacts = ["roles/storage.objectViewer"] # what is deployed, to tell what changed
    }
  }

  bucket_grants = merge([
    for account, buckets in local.bucket_roles : merge([
      for bucket, roles in buckets : { for role in roles : "${account} ${bucket} ${role}" => { account = account, bucket = bucket, role = role } }
    ]...)
  ]...)
}

resource "google_storage_bucket_iam_member" "this" {
  for_each = local.bucket_grants

  bucket = module.storage.names[each.value.bucket]
  role   = each.value.role
  member = local.members[each.value.account]
}

resource "google_project_iam_member" "submitter" {
  for_each = toset(["onupload", "batchtrigger"])

  project = var.project
  role    = "projects/${var.project}/roles/${google_project_iam_custom_role.submitter.role_id}"
  member  = local.members[each.value]
}

resource "google_service_account_iam_member" "submitter" {
  for_each = toset(["onupload", "batchtrigger"])

  service_account_id = "projects/${var.project}/serviceAccounts/${google_service_account.pipeline_runner.email}"
  role               = "roles/iam.serviceAccountUser"
  member             = local.members[each.value]
}

# Firestore takes roles on the project alone; the condition keeps them to the one database.
resource "google_project_iam_member" "ledger" {
  for_each = toset(["onupload", "batchtrigger", "pipeline-runner"])

  project = var.project
  role    = "roles/datastore.user"
  member  = local.members[each.value]

  condition {
    title       = "ledger"
    description = "The database of runs alone"
    expression  = module.ledger.condition
  }
}

# Metadata and executions of a pipeline have no resource of their own, nor have logs.
resource "google_project_iam_member" "runner" {
  for_each = toset(["roles/aiplatform.user", "roles/logging.logWriter"])

  project = var.project
  role    = each.value
  member  = local.members["pipeline-runner"]
}

# Pushes the step image, and cannot delete one.
resource "google_artifact_registry_repository_iam_member" "deployer" {
  project    = var.project
  location   = var.region
  repository = module.registry.repositories.images
  role       = "roles/artifactregistry.writer"
  member     = local.members["deployer"]
}
