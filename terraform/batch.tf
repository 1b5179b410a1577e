# What the clock starts: the schedules of the models, and the two sweeps that keep all runs moving.
resource "google_service_account" "tick" {
  project      = var.project
  account_id   = "batchtrigger-tick"
  display_name = "Calls batchtrigger for schedules and sweeps"

  depends_on = [google_project_service.this]
}

resource "google_cloud_run_v2_service_iam_member" "tick" {
  project  = var.project
  location = var.region
  name     = module.batchtrigger.name
  role     = "roles/run.servicesInvoker"
  member   = google_service_account.tick.member
}

module "batch_model" {
  source   = "./modules/batch-model"
  for_each = local.batch

  project   = var.project
  region    = var.region
  model     = each.key
  schedules = { for schedule in each.value.schedules : schedule.name => { cron = schedule.cron, zone = schedule.zone } }
  caller    = google_service_account.tick.email
  uri       = module.batchtrigger.uri
  paused    = var.pause

  depends_on = [google_project_service.this, google_cloud_run_v2_service_iam_member.tick, terraform_data.manifests]
}

locals {
  sweeps = {
    drain     = { schedule = "* * * * *", what = "Starts what waits" }
    reconcile = { schedule = "*/5 * * * *", what = "Drives unfinished runs on and finds lost triggers" }
  }
}

resource "google_cloud_scheduler_job" "sweep" {
  for_each = local.sweeps

  project          = var.project
  region           = var.region
  name             = each.key
  description      = each.value.what
  schedule         = each.value.schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"

  retry_config {
    retry_count          = 0 # the next one comes soon
    min_backoff_duration = "5s"
    max_backoff_duration = "60s"
    max_doublings        = 2
  }

  http_target {
    uri         = "${module.batchtrigger.uri}/${each.key}"
    http_method = "POST"
    headers     = { "Content-Type" = "application/json" }
    body        = base64encode("{}")

    oidc_token {
      service_account_email = google_service_account.tick.email
      audience              = module.batchtrigger.uri
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.tick]
}
