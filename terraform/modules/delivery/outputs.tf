output "emails" {
  description = "The accounts deployer, tester and builder."
  value       = { for name, account in google_service_account.this : name => account.email }
}

output "members" {
  description = "The same, as members of policies."
  value       = { for name, account in google_service_account.this : name => account.member }
}

output "provider" {
  description = "The full name of GitHub's workload identity provider; null without one."
  value       = one([for p in google_iam_workload_identity_pool_provider.github : p.name])
}
