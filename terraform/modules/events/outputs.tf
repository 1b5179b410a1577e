output "account" {
  description = "The account that delivers events."
  value       = google_service_account.push.email
}

output "dead_letters" {
  description = "The subscription that keeps what was given up; null with Eventarc, which keeps nothing."
  value       = one([for s in google_pubsub_subscription.dead : s.name])
}

output "subscription" {
  description = "The id of the subscription that delivers uploads."
  value = one(concat(
    [for s in google_pubsub_subscription.push : s.name],
    [for t in google_eventarc_trigger.uploads : try(reverse(split("/", t.transport[0].pubsub[0].subscription))[0], t.name)],
  ))
}
