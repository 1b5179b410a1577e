variable "error_ratio" {
  description = "Share of requests of one service that may end with a 5xx status over five minutes, from 0 to 1."
  type        = number
  default     = 0.05

  validation {
    condition     = var.error_ratio > 0 && var.error_ratio < 1
    error_message = "error_ratio is ${var.error_ratio}, expected a share between 0 and 1, such as 0.05."
  }
}

variable "heartbeat_seconds" {
  description = "How long no complete sweep of reconcile, or no sign that a schedule is on time, may be seen before its alert is raised. Reconcile runs every 300 s and writes both, so the default is four missed sweeps."
  type        = number
  default     = 1200

  validation {
    condition     = var.heartbeat_seconds >= 600 && var.heartbeat_seconds <= 84600 && var.heartbeat_seconds % 60 == 0
    error_message = "heartbeat_seconds is ${var.heartbeat_seconds}, expected whole minutes between 600 (two sweeps) and 84600, which is the longest absence that Cloud Monitoring looks for."
  }
}

variable "latency_p99_ms" {
  description = "The 99th percentile of the answers' latency that a real-time model may have for ten minutes, in milliseconds."
  type        = number
  default     = 1000

  validation {
    condition     = var.latency_p99_ms > 0
    error_message = "latency_p99_ms is ${var.latency_p99_ms}, expected milliseconds above 0."
  }
}

variable "models" {
  description = "The models by name: the owner of the manifest (null = platform_owner), how each is served, and the names of its schedules."
  type = map(object({
    owner     = optional(string)
    realtime  = optional(bool, false)
    batch     = optional(bool, false)
    schedules = optional(list(string), [])
  }))

  validation {
    condition     = alltrue([for name in keys(var.models) : can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", name))])
    error_message = "models has names that are no model names: ${join(", ", [for name in keys(var.models) : name if !can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", name))])}; expected ^[a-z][a-z0-9-]{1,20}[a-z0-9]$."
  }
}

variable "owners" {
  description = "Where the alerts of each owner go: an e-mail address, which becomes a notification channel, and channels that exist already (projects/P/notificationChannels/ID), such as chat or paging, whose secrets do not belong into a state. An owner of a manifest that has no entry here is told through platform_owner; with no entry at all alerts are only seen in the console."
  type = map(object({
    email    = optional(string)
    channels = optional(list(string), [])
  }))
  default = {}

  validation {
    condition     = alltrue([for owner, to in var.owners : to.email != null || length(to.channels) > 0])
    error_message = "owners: ${join(", ", [for owner, to in var.owners : owner if to.email == null && length(to.channels) == 0])} has neither email nor channels; expected at least one."
  }
  validation {
    condition     = alltrue([for to in var.owners : to.email == null || can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", to.email))])
    error_message = "owners: ${join(", ", [for to in var.owners : to.email if to.email != null && !can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", to.email))])} is no e-mail address."
  }
  validation {
    condition     = alltrue(flatten([for to in var.owners : [for c in to.channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", c))]]))
    error_message = "owners: a channel is named projects/PROJECT/notificationChannels/ID (gcloud beta monitoring channels list)."
  }
}

variable "platform_owner" {
  description = "The key of owners that gets the alerts of the platform itself (dead letters, reconcile, onupload, batchtrigger) and those of owners without an entry."
  type        = string
  default     = "platform"

  validation {
    condition     = can(regex("^[a-z0-9_-]{1,63}$", var.platform_owner))
    error_message = "platform_owner is \"${var.platform_owner}\", expected at most 63 lower-case letters, digits, _ and -, since it is a label too."
  }
}

variable "project" {
  description = "The project that is watched."
  type        = string
}

variable "runbooks" {
  description = "The address under which the folder docs/runbooks of this repository is read, without a slash at its end."
  type        = string
  default     = "https://github.com/millrace-ml/millrace/blob/main/docs/runbooks"

  validation {
    condition     = can(regex("^https://[^\\s]+[^/\\s]$", var.runbooks))
    error_message = "runbooks is \"${var.runbooks}\", expected an https address without a slash at its end."
  }
}

variable "uploads" {
  description = "The ids of the subscription that delivers uploads and of the one that keeps dead letters; dead_letters is null where Eventarc delivers, which has none."
  type = object({
    subscription = string
    dead_letters = optional(string)
  })
}
