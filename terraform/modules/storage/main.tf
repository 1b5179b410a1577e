# The buckets. Uniform access, closed to the public, each with what its contents need.
locals {
  # Versions: a run reads the generations that its plan step listed, also when they were overwritten meanwhile, and takes
  # seven days at most; a pointer of artifacts goes back by hand. Staging is scratch of runs and of deployments.
  buckets = {
    inbox       = { name = "${var.prefix}-inbox", days = var.retention_days.inbox, versions = 30, soft = var.soft_delete_days }
    outbox      = { name = "${var.prefix}-outbox", days = var.retention_days.outbox, versions = 30, soft = var.soft_delete_days }
    staging     = { name = "${var.prefix}-staging", days = 30, versions = null, soft = 0 }
    artifacts   = { name = "${var.prefix}-artifacts", days = null, versions = 90, soft = var.soft_delete_days }
    run_sources = { name = "run-sources-${var.project}-${var.location}", days = 90, versions = null, soft = 0 } # gcloud would make it, with less care
  }
}

resource "google_storage_bucket" "this" {
  for_each = local.buckets

  project                     = var.project
  name                        = each.value.name
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.force_destroy
  labels                      = merge(var.labels, { managed-by = "millrace" })

  versioning {
    enabled = each.value.versions != null
  }

  soft_delete_policy {
    retention_duration_seconds = each.value.soft * 86400
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 8
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.days[*]
    content {
      action {
        type = "Delete"
      }
      condition {
        age = lifecycle_rule.value
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.versions[*]
    content {
      action {
        type = "Delete"
      }
      condition {
        days_since_noncurrent_time = lifecycle_rule.value
        with_state                 = "ARCHIVED"
      }
    }
  }

  dynamic "encryption" {
    for_each = var.kms_key[*]
    content {
      default_kms_key_name = encryption.value
    }
  }

  lifecycle {
    precondition {
      condition     = length(each.value.name) <= 63
      error_message = "the bucket ${each.value.name} has ${length(each.value.name)} characters, expected 63 at most: gcloud builds its name from the project and the region, so take a shorter project id or another region."
    }
  }
}
