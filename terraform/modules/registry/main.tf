# Images. Source deploys push the tag latest, so the tags of functions may move; the step image is used by digest alone.
locals {
  repositories = {
    functions = { description = "Images of functions, pushed by source deploys", immutable = false }
    images    = { description = "The image of the pipelines' steps, used by digest", immutable = true }
  }
}

resource "google_artifact_registry_repository" "this" {
  for_each = local.repositories

  project       = var.project
  location      = var.location
  repository_id = each.key
  description   = each.value.description
  format        = "DOCKER"
  kms_key_name  = var.kms_key
  labels        = merge(var.labels, { managed-by = "millrace" })

  docker_config {
    immutable_tags = each.value.immutable
  }

  # What is kept is kept whatever its age: a service may run one image for years.
  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"

    most_recent_versions {
      keep_count = var.keep
    }
  }

  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"

    condition {
      tag_state  = "ANY"
      older_than = "7776000s"
    }
  }
}
