# Pull requests are tested, main is deployed. The infrastructure has triggers of its own, which run only when it changed.
locals {
  infrastructure = ["terraform/**", "models/*/model.yaml", "shared/ledger/indexes.json"]

  code = { _REGION = var.region, _ARTIFACTS = var.buckets.artifacts, _STAGING = var.buckets.staging }
  iac  = { _REGION = var.region, _ARTIFACTS = var.buckets.artifacts, _STATE = var.buckets.state, _ENVIRONMENT = var.environment, _ACCOUNT = var.terraformer }

  triggers = {
    pull-request = {
      description   = "Tests a pull request", filename = "cloudbuild.yaml", account = "tester", main = false, files = null, approval = false
      substitutions = merge(local.code, { _ACCOUNT = "tester", _DEPLOY = "false" })
    }
    main = {
      description   = "Deploys what a push to main changed", filename = "cloudbuild.yaml", account = "deployer", main = true, files = null, approval = var.approval.deploy
      substitutions = merge(local.code, { _ACCOUNT = "deployer", _DEPLOY = "true" })
    }
    # Planning runs what the pull request says, with the rights to change everything: a person reads it first.
    terraform-plan = {
      description   = "Plans the infrastructure of a pull request, once a person has read it", filename = "terraform/cloudbuild.yaml", account = var.terraformer, main = false, files = local.infrastructure, approval = true
      substitutions = merge(local.iac, { _DEPLOY = "false" })
    }
    terraform-apply = {
      description   = "Applies the infrastructure of main", filename = "terraform/cloudbuild.yaml", account = var.terraformer, main = true, files = local.infrastructure, approval = var.approval.apply
      substitutions = merge(local.iac, { _DEPLOY = "true" })
    }
  }
}

resource "google_cloudbuild_trigger" "this" {
  for_each = { for name, trigger in local.triggers : name => trigger if var.repository != null }

  project            = var.project
  location           = var.region
  name               = each.key
  description        = each.value.description
  filename           = each.value.filename
  service_account    = "projects/${var.project}/serviceAccounts/${each.value.account}@${var.project}.iam.gserviceaccount.com"
  substitutions      = each.value.substitutions
  included_files     = each.value.files
  include_build_logs = "INCLUDE_BUILD_LOGS_WITH_STATUS"

  approval_config {
    approval_required = each.value.approval
  }

  repository_event_config {
    repository = var.repository

    dynamic "push" {
      for_each = each.value.main ? [1] : []
      content {
        branch = "^main$"
      }
    }

    dynamic "pull_request" {
      for_each = each.value.main ? [] : [1]
      content {
        branch          = "^main$"
        comment_control = "COMMENTS_ENABLED_FOR_EXTERNAL_CONTRIBUTORS_ONLY"
      }
    }
  }

  lifecycle {
    precondition {
      condition     = strcontains(var.repository, "/locations/${var.region}/")
      error_message = "repository is ${var.repository}, expected one that is connected in ${var.region}: a trigger lies where its connection does."
    }
  }

  depends_on = [google_service_account.this]
}
