# A workflow of GitHub signs in without a key. Only pushes to the branch get in: a pull request's build runs what anybody
# wrote.
resource "google_iam_workload_identity_pool" "github" {
  for_each = var.github == null ? {} : { github = true }

  project                   = var.project
  workload_identity_pool_id = "github"
  display_name              = "GitHub Actions"
  description               = "Workflows of ${var.github.repository}"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  for_each = google_iam_workload_identity_pool.github

  project                            = var.project
  workload_identity_pool_id          = each.value.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"

  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
    "attribute.ref"        = "assertion.ref"
  }

  attribute_condition = join(" && ", compact([
    "assertion.repository == '${var.github.repository}'",
    var.github.id == null ? "" : "assertion.repository_id == '${var.github.id}'",
    "assertion.ref == 'refs/heads/${var.github.branch}'",
    "assertion.event_name == 'push'",
  ]))

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "github" {
  for_each = google_iam_workload_identity_pool.github

  service_account_id = "projects/${var.project}/serviceAccounts/${google_service_account.this["deployer"].email}"
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/projects/${var.project_number}/locations/global/workloadIdentityPools/${each.value.workload_identity_pool_id}/attribute.repository/${var.github.repository}"
}
