output "email" {
  description = "The account that the function runs as."
  value       = google_service_account.this.email
}

output "member" {
  description = "The same, as a member of a policy."
  value       = google_service_account.this.member
}

output "name" {
  description = "The name of the service."
  value       = google_cloud_run_v2_service.this.name
}

output "uri" {
  description = "The address of the service, which is also the audience of its callers' tokens."
  value       = google_cloud_run_v2_service.this.uri
}
