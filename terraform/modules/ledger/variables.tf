variable "deletion_protection" {
  description = "Whether the database refuses to be deleted."
  type        = bool
  default     = true
}

variable "indexes" {
  description = "The composite indexes, as shared/ledger/indexes.json has them."
  type = list(object({
    collectionGroup = string
    queryScope      = string
    fields          = list(object({ fieldPath = string, order = string }))
  }))

  validation {
    condition     = length(var.indexes) > 0
    error_message = "indexes is empty, expected those of shared/ledger/indexes.json: every query of runs needs one."
  }
  validation {
    condition     = alltrue([for i in var.indexes : contains(["COLLECTION", "COLLECTION_GROUP"], i.queryScope) && alltrue([for f in i.fields : contains(["ASCENDING", "DESCENDING"], f.order)])])
    error_message = "indexes has a queryScope other than COLLECTION and COLLECTION_GROUP, or an order other than ASCENDING and DESCENDING."
  }
}

variable "kms_key" {
  description = "The key with which the database is encrypted; null is Google's. It cannot be changed later."
  type        = string
  default     = null
}

variable "location" {
  description = "The location of the database, a region or a multi-region. It cannot be changed later."
  type        = string
}

variable "name" {
  description = "The id of the database."
  type        = string
  default     = "(default)"

  validation {
    condition     = can(regex("^(\\(default\\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$", var.name))
    error_message = "name is \"${var.name}\", expected (default), or 4 to 63 lower-case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "project" {
  description = "The project of the database."
  type        = string
}
