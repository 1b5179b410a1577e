variable "approval" {
  description = "Which builds of main wait for a person: apply those of the infrastructure, deploy those of the code."
  type        = object({ apply = optional(bool, true), deploy = optional(bool, false) })
  default     = {}
}

variable "bucket_prefix" {
  description = "What the names of the four buckets begin with; null is the project. Names of buckets are unique in the world."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_prefix == null ? true : can(regex("^[a-z0-9][a-z0-9-]{1,50}[a-z0-9]$", var.bucket_prefix)) && !startswith(var.bucket_prefix, "goog") && !strcontains(var.bucket_prefix, "google")
    error_message = "bucket_prefix is \"${var.bucket_prefix == null ? "" : var.bucket_prefix}\", expected 3 to 52 lower-case letters, digits and hyphens, no hyphen at the ends, not beginning with goog nor holding google."
  }
}

variable "budget" {
  description = "A budget of the project, in whole units of the billing account's currency: at half, nine tenths and all of it the platform's owner is told. It stops nothing. Null makes none."
  type        = object({ billing_account = string, amount = number })
  default     = null

  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "budget.billing_account is \"${try(var.budget.billing_account, "")}\", expected an id such as 012345-6789AB-CDEF01 (gcloud billing accounts list)."
  }
  validation {
    condition     = var.budget == null ? true : var.budget.amount >= 1 && floor(var.budget.amount) == var.budget.amount
    error_message = "budget.amount is ${try(var.budget.amount, 0)}, expected a whole number from 1 on."
  }
}

variable "deletion_protection" {
  description = "Whether services and the ledger refuse to be deleted. To remove them, apply false first."
  type        = bool
  default     = true
}

variable "environment" {
  description = "The name of the environment: which tfvars the triggers of the infrastructure take."
  type        = string
  default     = "prod"

  validation {
    condition     = contains(["dev", "test", "prod"], var.environment)
    error_message = "environment is \"${var.environment}\", expected dev, test or prod, which have files in environments/."
  }
}

variable "events" {
  description = "How uploads reach onupload. push: a subscription with dead letters and seven days of attempts. eventarc: a deadline of 10 seconds, attempts for 24 hours, then the event is dropped without being kept; only reconcile finds its object."
  type        = string
  default     = "push"

  validation {
    condition     = contains(["push", "eventarc"], var.events)
    error_message = "events is \"${var.events}\", expected push or eventarc."
  }
}

variable "firestore_database" {
  description = "The id of the Firestore database. It cannot be changed later."
  type        = string
  default     = "(default)"

  validation {
    condition     = can(regex("^(\\(default\\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$", var.firestore_database))
    error_message = "firestore_database is \"${var.firestore_database}\", expected (default), or 4 to 63 lower-case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "firestore_location" {
  description = "Where the database lies; null is the region. It cannot be changed later."
  type        = string
  default     = null

  validation {
    condition     = var.firestore_location == null ? true : contains(concat(local.regions, ["nam5", "nam7", "eur3"]), var.firestore_location)
    error_message = "firestore_location is \"${var.firestore_location == null ? "" : var.firestore_location}\", expected a region such as europe-west1, or nam5, nam7, eur3."
  }
}

variable "force_destroy" {
  description = "Whether Terraform may delete buckets that hold objects."
  type        = bool
  default     = false
}

variable "github" {
  description = "The repository on GitHub whose workflow deploys main, as OWNER/NAME, and its number, which another repository of the same name does not have; null lets nothing sign in."
  type        = object({ repository = string, id = optional(string), branch = optional(string, "main") })
  default     = null

  validation {
    condition     = var.github == null ? true : can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$", var.github.repository))
    error_message = "github.repository is \"${try(var.github.repository, "")}\", expected OWNER/NAME."
  }
}

variable "kms_key" {
  description = "A key of Cloud KMS in the region that encrypts buckets, messages, images, revisions and the ledger; null is Google's. What pipelines keep for themselves on Vertex stays under Google's."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null ? true : can(regex("^projects/[^/]+/locations/${var.region}/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key is \"${var.kms_key == null ? "" : var.kms_key}\", expected projects/P/locations/${var.region}/keyRings/R/cryptoKeys/K: the key lies in the region."
  }
}

variable "operators" {
  description = "The e-mail addresses of people and accounts that may call batchtrigger: look at runs, and start them by hand. The deployer, which tries releases, is one anyway."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for o in var.operators : can(regex("^[^@,*\\s]+@[^@,*\\s]+\\.[^@,*\\s]+$", o))])
    error_message = "operators has ${join(", ", [for o in var.operators : "\"${o}\"" if !can(regex("^[^@,*\\s]+@[^@,*\\s]+\\.[^@,*\\s]+$", o))])}, expected e-mail addresses; everybody at once is not one."
  }
}

variable "owners" {
  description = "Where the alerts of each owner of a manifest go: an e-mail address, and channels that exist already (projects/P/notificationChannels/ID). Who has no entry is told through platform_owner; with no entry at all alerts are only seen in the console."
  type        = map(object({ email = optional(string), channels = optional(list(string), []) }))
  default     = {}

  validation {
    condition     = alltrue([for o in keys(var.owners) : can(regex("^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$", o))])
    error_message = "owners has ${join(", ", [for o in keys(var.owners) : "\"${o}\"" if !can(regex("^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$", o))])}, expected labels as in the manifests: up to 63 lower-case letters, digits, hyphens and underscores."
  }
  validation {
    condition     = alltrue([for to in var.owners : to.email != null || length(to.channels) > 0])
    error_message = "owners: ${join(", ", [for owner, to in var.owners : owner if to.email == null && length(to.channels) == 0])} has neither email nor channels; expected at least one."
  }
  validation {
    condition     = alltrue([for to in var.owners : to.email == null ? true : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", to.email))])
    error_message = "owners: ${join(", ", [for owner, to in var.owners : "the email of ${owner} is \"${to.email}\"" if to.email == null ? false : !can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", to.email))])}, expected an e-mail address."
  }
  validation {
    condition     = alltrue(flatten([for to in var.owners : [for c in to.channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", c))]]))
    error_message = "owners: ${join(", ", flatten([for to in var.owners : [for c in to.channels : "\"${c}\"" if !can(regex("^projects/[^/]+/notificationChannels/[^/]+$", c))]]))} is no channel, expected projects/PROJECT/notificationChannels/ID."
  }
}

variable "pause" {
  description = "Whether all schedules stand still, for instance in an environment that nobody uses at the moment. Drain and reconcile go on."
  type        = bool
  default     = false
}

variable "platform_owner" {
  description = "The key of owners that is told of the platform's own alerts and of models without an owner, and that labels what is no model's."
  type        = string
  default     = "platform"

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$", var.platform_owner))
    error_message = "platform_owner is \"${var.platform_owner}\", expected up to 63 lower-case letters, digits, hyphens and underscores, since it is a label too."
  }
}

variable "project" {
  description = "The project; one per environment. All of it is the configuration's."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is \"${var.project}\", expected a project id: 6 to 30 lower-case letters, digits and hyphens, a letter first and no hyphen last (gcloud projects list)."
  }
}

variable "region" {
  description = "The region of everything. It cannot be changed later."
  type        = string

  validation {
    condition     = contains(local.regions, var.region)
    error_message = "region is \"${var.region}\", expected a region of Cloud Run such as europe-west1 (gcloud run regions list)."
  }
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

variable "retention_days" {
  description = "After how many days objects of the inbox and the outbox are deleted; null keeps them. Staging is deleted after 30 days."
  type        = object({ inbox = optional(number), outbox = optional(number) })
  default     = {}

  validation {
    condition     = alltrue([for d in [var.retention_days.inbox, var.retention_days.outbox] : d == null ? true : d >= 8 && floor(d) == d])
    error_message = "retention_days is ${jsonencode(var.retention_days)}, expected whole days, at least 8: a run may take seven."
  }
}

variable "runbooks" {
  description = "The address under which the folder docs/runbooks is read, without a slash at its end; alerts link there."
  type        = string
  default     = "https://github.com/millrace-ml/millrace/blob/main/docs/runbooks"

  validation {
    condition     = can(regex("^https://[^\\s]+[^/\\s]$", var.runbooks))
    error_message = "runbooks is \"${var.runbooks}\", expected an https address without a slash at its end."
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

variable "state_bucket" {
  description = "The bucket of Terraform's state; null is PROJECT-terraform. A person makes it before the first apply."
  type        = string
  default     = null

  validation {
    condition     = var.state_bucket == null ? true : can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "state_bucket is \"${var.state_bucket == null ? "" : var.state_bucket}\", expected the name of a bucket: 3 to 63 lower-case letters, digits and ._-"
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

variable "vpc_connector" {
  description = "The connector through which functions reach a VPC network; null is none."
  type        = string
  default     = null

  validation {
    condition     = var.vpc_connector == null ? true : can(regex("^projects/[^/]+/locations/${var.region}/connectors/[^/]+$", var.vpc_connector))
    error_message = "vpc_connector is \"${var.vpc_connector == null ? "" : var.vpc_connector}\", expected projects/P/locations/${var.region}/connectors/C."
  }
  validation {
    condition     = var.vpc_connector == null || var.vpc_subnetwork == null
    error_message = "vpc_connector is set beside vpc_subnetwork, expected one of the two ways into the network."
  }
}

variable "vpc_egress" {
  description = "Which traffic of functions goes through the VPC network, where there is one."
  type        = string
  default     = "PRIVATE_RANGES_ONLY"

  validation {
    condition     = contains(["PRIVATE_RANGES_ONLY", "ALL_TRAFFIC"], var.vpc_egress)
    error_message = "vpc_egress is \"${var.vpc_egress}\", expected PRIVATE_RANGES_ONLY or ALL_TRAFFIC."
  }
}

variable "vpc_subnetwork" {
  description = "The subnetwork from which functions reach a VPC network directly, without a connector; null is none."
  type        = string
  default     = null

  validation {
    condition     = var.vpc_subnetwork == null ? true : can(regex("^projects/[^/]+/regions/${var.region}/subnetworks/[^/]+$", var.vpc_subnetwork))
    error_message = "vpc_subnetwork is \"${var.vpc_subnetwork == null ? "" : var.vpc_subnetwork}\", expected projects/P/regions/${var.region}/subnetworks/S."
  }
}
