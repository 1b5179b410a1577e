variable "caller" {
  description = "The account that calls for the schedules."
  type        = string
}

variable "model" {
  description = "The name of the model."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", var.model))
    error_message = "model is \"${var.model}\", expected ^[a-z][a-z0-9-]{1,20}[a-z0-9]$."
  }
}

variable "paused" {
  description = "Whether the schedules stand still."
  type        = bool
  default     = false
}

variable "project" {
  description = "The project of the jobs."
  type        = string
}

variable "region" {
  description = "The region of the jobs."
  type        = string
}

variable "schedules" {
  description = "The schedules of the manifest, by name: five fields of a crontab and an IANA time zone."
  type        = map(object({ cron = string, zone = optional(string, "Etc/UTC") }))
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.schedules) : can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", name))])
    error_message = "schedules of ${var.model}: ${join(", ", [for name in keys(var.schedules) : name if !can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", name))])}, expected up to 40 lower-case letters, digits and hyphens, a letter first and no hyphen last."
  }
  validation {
    condition     = alltrue([for name, s in var.schedules : can(regex(local.crontab, s.cron))])
    error_message = "schedules of ${var.model}: ${join(", ", [for name, s in var.schedules : "cron of ${name} is \"${s.cron}\"" if !can(regex(local.crontab, s.cron))])}, expected minute, hour, day of month, month and day of week, such as 15 2 * * *."
  }
  validation {
    condition     = alltrue([for name, s in var.schedules : can(regex("^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$", s.zone)) && s.zone != "Local"])
    error_message = "schedules of ${var.model}: ${join(", ", [for name, s in var.schedules : "zone of ${name} is \"${s.zone}\"" if !can(regex("^[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$", s.zone)) || s.zone == "Local"])}, expected a name of the IANA list, such as Europe/Berlin or Etc/UTC."
  }
}

variable "uri" {
  description = "The address of the service that starts runs."
  type        = string
}
