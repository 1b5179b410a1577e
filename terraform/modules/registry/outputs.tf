output "repositories" {
  description = "The ids of the repositories, by name."
  value       = { for name, repository in google_artifact_registry_repository.this : name => repository.repository_id }
}

output "urls" {
  description = "The addresses of the repositories, by name."
  value       = { for name, repository in google_artifact_registry_repository.this : name => "${var.location}-docker.pkg.dev/${var.project}/${repository.repository_id}" }
}
