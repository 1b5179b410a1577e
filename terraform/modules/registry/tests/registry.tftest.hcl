mock_provider "google" {}

variables {
  project  = "millrace-test"
  location = "europe-west1"
  labels   = { owner = "platform" }
}

run "tags_of_functions_move_those_of_the_step_image_do_not" {
  command = apply

  assert {
    condition     = { for name, r in google_artifact_registry_repository.this : name => r.docker_config[0].immutable_tags } == { functions = false, images = true }
    error_message = "a source deploy pushes the tag latest again and again"
  }
  assert {
    condition     = output.urls.images == "europe-west1-docker.pkg.dev/millrace-test/images"
    error_message = output.urls.images
  }
}

run "old_images_go_and_the_newest_stay" {
  command = apply

  assert {
    condition     = alltrue([for r in google_artifact_registry_repository.this : toset([for p in r.cleanup_policies : p.action]) == toset(["KEEP", "DELETE"])])
    error_message = jsonencode(google_artifact_registry_repository.this)
  }
}

run "keeping_none_is_refused" {
  command = plan

  variables {
    keep = 0
  }

  expect_failures = [var.keep]
}
