# Who builds and deploys. The rights on single services, accounts, buckets and repositories stand beside those.
locals {
  accounts = {
    deployer = "Deploys main"
    tester   = "Tests pull requests: may deploy nothing"
    builder  = "Builds the images of functions in source deploys"
  }

  # On the project, since nothing smaller takes them.
  roles = {
    deployer = ["roles/logging.logWriter", "roles/monitoring.viewer", "roles/run.sourceDeveloper", "roles/serviceusage.serviceUsageConsumer", "roles/storage.bucketViewer"]
    tester   = ["roles/logging.logWriter"]
    builder  = ["roles/run.builder"]
  }
}

resource "google_service_account" "this" {
  for_each = local.accounts

  project      = var.project
  account_id   = each.key
  display_name = each.value
}

resource "google_project_iam_member" "this" {
  for_each = merge([for account, roles in local.roles : { for role in roles : "${account} ${role}" => { account = account, role = role } }]...)

  project = var.project
  role    = each.value.role
  member  = google_service_account.this[each.value.account].member
}

resource "google_service_account_iam_member" "builder" {
  service_account_id = "projects/${var.project}/serviceAccounts/${google_service_account.this["builder"].email}"
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.this["deployer"].member
}
