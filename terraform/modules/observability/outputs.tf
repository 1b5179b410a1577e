output "channels" {
  description = "The notification channels of each owner, by owner."
  value       = local.channels
}

output "policies" {
  description = "The alert policies by alert and what they watch, such as failed_run/bike-demand: where each is sent."
  value       = { for key, alert in local.alerts : key => { owner = alert.owner, channels = local.routes[key] } }
}
