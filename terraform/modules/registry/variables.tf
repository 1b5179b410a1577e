variable "keep" {
  description = "How many of the newest images of a function, and of the step image, are never cleaned up: as far back as a rollback goes."
  type        = number
  default     = 20

  validation {
    condition     = var.keep >= 5 && floor(var.keep) == var.keep
    error_message = "keep is ${var.keep}, expected a whole number from 5 on: revisions that serve, and those before them, need their images."
  }
}

variable "kms_key" {
  description = "The key with which images are encrypted; null is Google's."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the repositories."
  type        = map(string)
}

variable "location" {
  description = "The region of the repositories."
  type        = string
}

variable "project" {
  description = "The project of the repositories."
  type        = string
}
