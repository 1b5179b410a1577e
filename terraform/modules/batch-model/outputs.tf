output "jobs" {
  description = "The names of the model's jobs, by schedule."
  value       = { for name, job in google_cloud_scheduler_job.tick : name => job.name }
}
