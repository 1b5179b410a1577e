# The models are data: each folder of models/ with a manifest. Folders that begin with a dot are not models.
locals {
  files = [for f in fileset("${path.module}/../models", "*/model.yaml") : f if !startswith(f, ".")]
  raw   = { for f in local.files : dirname(f) => yamldecode(file("${path.module}/../models/${f}")) }

  # What a manifest leaves out is as the Go type says; internal/iac/config holds the two equal.
  manifest_defaults = {
    owner = null
    realtime = {
      invokers    = []
      memory      = "256Mi"
      cpu         = "1"
      concurrency = 80
      timeout     = "60s"
      scale       = { min = 0, max = 10 }
    }
    batch    = { schedules = [] }
    schedule = { zone = "Etc/UTC" }
  }

  models = {
    for folder, manifest in local.raw : folder => {
      name     = try(manifest.name, "")
      owner    = try(coalesce(manifest.owner), local.manifest_defaults.owner)
      realtime = try(contains(manifest.serve, "realtime"), false)
      batch    = try(contains(manifest.serve, "batch"), false)

      invokers    = try([for i in manifest.realtime.invokers : i], local.manifest_defaults.realtime.invokers)
      memory      = try(tostring(coalesce(manifest.realtime.memory)), local.manifest_defaults.realtime.memory)
      cpu         = try(tostring(coalesce(manifest.realtime.cpu)), local.manifest_defaults.realtime.cpu)
      concurrency = try(tonumber(coalesce(manifest.realtime.concurrency)), local.manifest_defaults.realtime.concurrency)
      timeout     = try(tostring(coalesce(manifest.realtime.timeout)), local.manifest_defaults.realtime.timeout)
      scale = {
        min = try(tonumber(coalesce(manifest.realtime.scale.min)), local.manifest_defaults.realtime.scale.min)
        max = try(tonumber(coalesce(manifest.realtime.scale.max)), local.manifest_defaults.realtime.scale.max)
      }

      schedules = [
        for schedule in try([for s in manifest.batch.schedules : s], local.manifest_defaults.batch.schedules) : {
          name = try(schedule.name, "")
          cron = try(schedule.cron, "")
          zone = try(coalesce(schedule.zone), local.manifest_defaults.schedule.zone)
        }
      ]
    }
  }

  realtime = { for name, model in local.models : name => model if model.realtime }
  batch    = { for name, model in local.models : name => model if model.batch }

  # The manifest writes 60s, 5m or 1h.
  seconds = { s = 1, m = 60, h = 3600 }

  jobs = flatten([for name, model in local.batch : [for schedule in model.schedules : "${name}-${schedule.name}"]])
}

# What is wrong with a manifest is said before anything is made. bin/millrace validate says it too, and more of it.
resource "terraform_data" "manifests" {
  lifecycle {
    precondition {
      condition     = alltrue([for folder, model in local.models : model.name == folder])
      error_message = "models: ${join(", ", [for folder, model in local.models : "${folder}/model.yaml has the name \"${model.name}\"" if model.name != folder])}, expected that of its folder."
    }
    precondition {
      condition     = alltrue([for folder in keys(local.models) : can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", folder)) && folder != "stats"])
      error_message = "models: ${join(", ", [for folder in keys(local.models) : folder if !can(regex("^[a-z][a-z0-9-]{1,20}[a-z0-9]$", folder)) || folder == "stats"])} is no model name, expected 3 to 22 lower-case letters, digits and hyphens, a letter first and no hyphen last, and not stats: the service and its account are predict-<name>."
    }
    precondition {
      condition     = alltrue([for model in local.models : model.realtime || model.batch])
      error_message = "models: ${join(", ", [for folder, model in local.models : folder if !model.realtime && !model.batch])} is served nowhere, expected serve: [realtime], [batch] or both."
    }
    precondition {
      condition     = alltrue([for model in local.models : model.owner == null ? true : can(regex("^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$", model.owner))])
      error_message = "models: the owner of ${join(", ", [for folder, model in local.models : folder if model.owner == null ? false : !can(regex("^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$", model.owner))])} is no label, expected up to 63 lower-case letters, digits, hyphens and underscores."
    }
    precondition {
      condition     = alltrue([for model in local.models : can(regex("^[1-9][0-9]*[smh]$", model.timeout))])
      error_message = "models: realtime.timeout of ${join(", ", [for folder, model in local.models : "${folder} is \"${model.timeout}\"" if !can(regex("^[1-9][0-9]*[smh]$", model.timeout))])}, expected a time such as 60s."
    }
    precondition {
      condition     = alltrue([for model in local.models : length(distinct(model.schedules[*].name)) == length(model.schedules)])
      error_message = "models: ${join(", ", [for folder, model in local.models : folder if length(distinct(model.schedules[*].name)) != length(model.schedules)])} has two schedules of one name, expected each to have its own."
    }
    precondition {
      condition     = length(distinct(local.jobs)) == length(local.jobs)
      error_message = "models: two schedules would make one job of Cloud Scheduler, <model>-<schedule>: ${join(", ", distinct([for j in local.jobs : j if length([for k in local.jobs : k if k == j]) > 1]))}; expected another name for one of them."
    }
  }
}
