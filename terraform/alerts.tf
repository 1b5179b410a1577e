module "observability" {
  source = "./modules/observability"

  project        = var.project
  owners         = var.owners
  platform_owner = var.platform_owner
  runbooks       = var.runbooks
  uploads        = { subscription = module.events.subscription, dead_letters = module.events.dead_letters }
  models = {
    for name, model in local.models : name => {
      owner     = model.owner
      realtime  = model.realtime
      batch     = model.batch
      schedules = model.batch ? model.schedules[*].name : []
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_billing_budget" "this" {
  for_each = var.budget == null ? {} : { project = var.budget }

  billing_account = each.value.billing_account
  display_name    = "millrace ${var.project}"

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }

  amount {
    specified_amount {
      units = tostring(each.value.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  dynamic "all_updates_rule" {
    for_each = contains(keys(var.owners), var.platform_owner) ? [module.observability.channels[var.platform_owner]] : []
    content {
      monitoring_notification_channels = slice(all_updates_rule.value, 0, min(5, length(all_updates_rule.value)))
      disable_default_iam_recipients   = false
    }
  }

  depends_on = [google_project_service.this]
}
