variable "approval" {
  description = "Which triggers of main wait for a person: apply that of the infrastructure, deploy that of the code."
  type        = object({ apply = optional(bool, true), deploy = optional(bool, false) })
  default     = {}
}

variable "buckets" {
  description = "The names of the buckets for artifacts, staging and Terraform's state."
  type        = object({ artifacts = string, staging = string, state = string })
}

variable "environment" {
  description = "Which tfvars the triggers of the infrastructure take."
  type        = string
}

variable "github" {
  description = "The repository on GitHub whose workflow deploys main, as OWNER/NAME; null lets nothing sign in. id is its number, which another repository of the same name does not have."
  type        = object({ repository = string, id = optional(string), branch = optional(string, "main") })
  default     = null

  validation {
    condition     = var.github == null ? true : can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$", var.github.repository))
    error_message = "github.repository is \"${try(var.github.repository, "")}\", expected OWNER/NAME."
  }
  validation {
    condition     = var.github == null ? true : can(regex("^[A-Za-z0-9._/-]{1,200}$", var.github.branch))
    error_message = "github.branch is \"${try(var.github.branch, "")}\", expected the name of a branch, such as main."
  }
  validation {
    condition     = try(var.github.id, null) == null ? true : can(regex("^[0-9]+$", var.github.id))
    error_message = "github.id is \"${try(coalesce(var.github.id), "")}\", expected the number that gh api repos/OWNER/NAME --jq .id prints."
  }
}

variable "project" {
  description = "The project that is delivered to."
  type        = string
}

variable "project_number" {
  description = "Its number."
  type        = string
}

variable "region" {
  description = "The region of the services and of the triggers."
  type        = string
}

variable "repository" {
  description = "The repository that Cloud Build is connected to: projects/P/locations/R/connections/C/repositories/R. Null makes no triggers."
  type        = string
  default     = null

  validation {
    condition     = var.repository == null ? true : can(regex("^projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+$", var.repository))
    error_message = "repository is \"${var.repository == null ? "" : var.repository}\", expected projects/P/locations/R/connections/C/repositories/R (gcloud builds repositories list)."
  }
}

variable "terraformer" {
  description = "The id of the account that applies the infrastructure. A person makes it before the first apply, so that this configuration cannot give itself rights."
  type        = string
  default     = "terraformer"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.terraformer))
    error_message = "terraformer is \"${var.terraformer}\", expected the id of an account: 6 to 30 lower-case letters, digits and hyphens."
  }
}
