variable "concurrency" {
  description = "Requests at once in an instance."
  type        = number
  default     = 80

  validation {
    condition     = var.concurrency >= 1 && var.concurrency <= 1000 && floor(var.concurrency) == var.concurrency
    error_message = "concurrency of ${var.name} is ${var.concurrency}, expected a whole number from 1 to 1000."
  }
  validation {
    condition     = var.concurrency == 1 || !strcontains(var.cpu, ".")
    error_message = "concurrency of ${var.name} is ${var.concurrency}, expected 1 with a part of a CPU (${var.cpu})."
  }
}

variable "cpu" {
  description = "CPUs of an instance."
  type        = string
  default     = "1"

  validation {
    condition     = can(regex("^([12468]|0?\\.[0-9]*[1-9][0-9]*)$", var.cpu))
    error_message = "cpu of ${var.name} is \"${var.cpu}\", expected 1, 2, 4, 6, 8 or a part of one such as 0.5: Cloud Run has no others."
  }
}

variable "deletion_protection" {
  description = "Whether Terraform refuses to delete the service."
  type        = bool
  default     = true
}

variable "deployer" {
  description = "The account that deploys the function's code, as a member. It may invoke the service and act as its account."
  type        = string
}

variable "env" {
  description = "The environment of the function: the settings of its Config."
  type        = map(string)
  default     = {}
}

variable "ingress" {
  description = "Where requests may come from. Each must be signed in anyway."
  type        = string
  default     = "INGRESS_TRAFFIC_ALL"

  validation {
    condition     = contains(["INGRESS_TRAFFIC_ALL", "INGRESS_TRAFFIC_INTERNAL_ONLY", "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"], var.ingress)
    error_message = "ingress is \"${var.ingress}\", expected INGRESS_TRAFFIC_ALL, INGRESS_TRAFFIC_INTERNAL_ONLY or INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER."
  }
}

variable "invokers" {
  description = "The members that may call the function."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for m in var.invokers : can(regex("^((serviceAccount|user|group|domain):[^ :]+|principal(Set)?://[^ ]+)$", m))])
    error_message = "invokers of ${var.name} has ${join(", ", [for m in var.invokers : m if !can(regex("^((serviceAccount|user|group|domain):[^ :]+|principal(Set)?://[^ ]+)$", m))])}, expected serviceAccount:…, user:…, group:…, domain:…, principal://… or principalSet://…; a function is never public."
  }
}

variable "kms_key" {
  description = "The key with which the images of revisions are encrypted; null is Google's."
  type        = string
  default     = null
}

variable "labels" {
  description = "Labels of the service: owner, and model for one that serves a model."
  type        = map(string)
}

variable "memory" {
  description = "Memory of an instance."
  type        = string
  default     = "256Mi"

  validation {
    condition     = can(regex("^[1-9][0-9]*(Mi|Gi)$", var.memory))
    error_message = "memory of ${var.name} is \"${var.memory}\", expected a whole number of Mi or Gi, such as 256Mi."
  }
  validation {
    condition     = try(tonumber(trimsuffix(trimsuffix(var.memory, "Mi"), "Gi")) * (endswith(var.memory, "Gi") ? 1024 : 1), 128) >= 128 && try(tonumber(trimsuffix(trimsuffix(var.memory, "Mi"), "Gi")) * (endswith(var.memory, "Gi") ? 1024 : 1), 128) <= 32768
    error_message = "memory of ${var.name} is \"${var.memory}\", expected 128Mi to 32Gi, which Cloud Run has."
  }
}

variable "name" {
  description = "The name of the service and the id of its account."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.name))
    error_message = "name is \"${var.name}\", expected 6 to 30 lower-case letters, digits and hyphens, a letter first and no hyphen last: it is also the id of an account."
  }
}

variable "network" {
  description = "How the function reaches a VPC network: through a connector, or directly from a subnetwork; null is not at all."
  type = object({
    connector  = optional(string)
    subnetwork = optional(string)
    egress     = optional(string, "PRIVATE_RANGES_ONLY")
  })
  default = null
}

variable "project" {
  description = "The project of the service."
  type        = string
}

variable "region" {
  description = "The region of the service."
  type        = string
}

variable "scale" {
  description = "The least and the most instances. None at least costs nothing at rest."
  type        = object({ min = optional(number, 0), max = optional(number, 10) })
  default     = {}

  validation {
    condition     = var.scale.min >= 0 && var.scale.max >= 1 && var.scale.max <= 1000 && var.scale.min <= var.scale.max
    error_message = "scale of ${var.name} is ${var.scale.min} to ${var.scale.max}, expected 0 ≤ min ≤ max and 1 ≤ max ≤ 1000."
  }
}

variable "timeout" {
  description = "The longest request, in seconds."
  type        = number
  default     = 60

  validation {
    condition     = var.timeout >= 1 && var.timeout <= 3600 && floor(var.timeout) == var.timeout
    error_message = "timeout of ${var.name} is ${var.timeout}, expected whole seconds from 1 to 3600."
  }
}
