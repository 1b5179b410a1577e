output "batchtrigger" {
  description = "The address of batchtrigger: millrace runs --url."
  value       = module.batchtrigger.uri
}

output "buckets" {
  description = "The buckets, by what they are for."
  value       = module.storage.names
}

output "github_variables" {
  description = "The variables that the repository on GitHub needs: gh variable set NAME --body VALUE."
  value = {
    GOOGLE_CLOUD_PROJECT       = var.project
    REGION                     = var.region
    ARTIFACTS_BUCKET           = module.storage.names.artifacts
    STAGING_BUCKET             = module.storage.names.staging
    DEPLOYER                   = module.delivery.emails.deployer
    WORKLOAD_IDENTITY_PROVIDER = module.delivery.provider
  }
}

output "predict" {
  description = "The address of each real-time model."
  value       = { for name, function in module.predict : name => function.uri }
}

output "repositories" {
  description = "The addresses of the image repositories: images is where make image pushes (TO=)."
  value       = module.registry.urls
}
