variable "agents" {
  description = "The service agents of the project, as members: Cloud Storage's publishes, Pub/Sub's moves dead letters, Eventarc's makes the trigger."
  type        = object({ storage = string, pubsub = string, eventarc = string })
}

variable "bucket" {
  description = "The bucket whose uploads are events."
  type        = string
}

variable "delivery" {
  description = "push: a subscription of our own, with dead letters, seven days of attempts. eventarc: a trigger of Eventarc, whose deadline is 10 seconds, which tries for 24 hours and then drops an event without keeping it."
  type        = string
  default     = "push"

  validation {
    condition     = contains(["push", "eventarc"], var.delivery)
    error_message = "delivery is \"${var.delivery}\", expected push or eventarc."
  }
}

variable "kms_key" {
  description = "The key with which messages are encrypted; null is Google's."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of topics and subscriptions."
  type        = map(string)
}

variable "location" {
  description = "The location of the bucket, which a trigger of Eventarc shares."
  type        = string
}

variable "project" {
  description = "The project of all of it."
  type        = string
}

variable "region" {
  description = "The region of the service."
  type        = string
}

variable "service" {
  description = "The service that takes the events: its name and its address."
  type        = object({ name = string, uri = string })
}
