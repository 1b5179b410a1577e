variable "force_destroy" {
  description = "Whether Terraform may delete buckets that hold objects."
  type        = bool
  default     = false
}

variable "kms_key" {
  description = "The key with which objects are encrypted; null is Google's."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the buckets."
  type        = map(string)
}

variable "location" {
  description = "The region of the buckets."
  type        = string
}

variable "prefix" {
  description = "What the names of the four buckets begin with."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,50}[a-z0-9]$", var.prefix)) && !startswith(var.prefix, "goog") && !strcontains(var.prefix, "google")
    error_message = "prefix is \"${var.prefix}\", expected 3 to 52 lower-case letters, digits and hyphens, no hyphen at the ends, not beginning with goog nor holding google: it is followed by -artifacts, and a bucket's name has 63 characters."
  }
}

variable "project" {
  description = "The project of the buckets."
  type        = string
}

variable "retention_days" {
  description = "After how many days objects of the inbox and the outbox are deleted; null keeps them. Staging is deleted after 30 days."
  type        = object({ inbox = optional(number), outbox = optional(number) })
  default     = {}

  validation {
    condition     = alltrue([for d in [var.retention_days.inbox, var.retention_days.outbox] : d == null ? true : d >= 8 && floor(d) == d])
    error_message = "retention_days is ${jsonencode(var.retention_days)}, expected whole days, at least 8: a run may take seven."
  }
}

variable "soft_delete_days" {
  description = "For how many days a deleted object can be restored: 0, or 7 to 90."
  type        = number
  default     = 7

  validation {
    condition     = var.soft_delete_days == 0 || var.soft_delete_days >= 7 && var.soft_delete_days <= 90 && floor(var.soft_delete_days) == var.soft_delete_days
    error_message = "soft_delete_days is ${var.soft_delete_days}, expected 0, or 7 to 90."
  }
}
