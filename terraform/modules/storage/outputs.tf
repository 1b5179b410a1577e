output "created" {
  description = "When the inbox was made: nothing older can have started a run."
  value       = google_storage_bucket.this["inbox"].time_created
}

output "location" {
  description = "The location of the inbox."
  value       = google_storage_bucket.this["inbox"].location
}

output "names" {
  description = "The names of the buckets, by what they are for: inbox, outbox, staging, artifacts, run_sources."
  value       = { for key, bucket in google_storage_bucket.this : key => bucket.name }
}
