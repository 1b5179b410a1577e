# A function: a Cloud Run service, the account that it runs as, and who may call it. A deployment brings the code.
resource "google_service_account" "this" {
  project      = var.project
  account_id   = var.name
  display_name = "Runs ${var.name}"
}

resource "google_cloud_run_v2_service" "this" {
  project             = var.project
  name                = var.name
  location            = var.region
  description         = "Made by Terraform, deployed by millrace ci deploy"
  ingress             = var.ingress
  deletion_protection = var.deletion_protection
  labels              = merge(var.labels, { managed-by = "millrace" })

  template {
    service_account                  = google_service_account.this.email
    timeout                          = "${var.timeout}s"
    max_instance_request_concurrency = var.concurrency
    encryption_key                   = var.kms_key

    scaling {
      min_instance_count = var.scale.min
      max_instance_count = var.scale.max
    }

    # No command: gcloud run deploy --function refuses a service that has one. No probe: Cloud Run's own, a TCP connection to
    # the port, holds for the placeholder and for the function, which listens only once its model has passed its check.
    containers {
      image = "us-docker.pkg.dev/cloudrun/container/hello"

      dynamic "env" {
        for_each = var.env
        content {
          name  = env.key
          value = env.value
        }
      }

      resources {
        limits            = { cpu = var.cpu, memory = var.memory }
        cpu_idle          = true
        startup_cpu_boost = true
      }
    }

    dynamic "vpc_access" {
      for_each = var.network[*]
      content {
        connector = vpc_access.value.connector
        egress    = vpc_access.value.egress

        dynamic "network_interfaces" {
          for_each = vpc_access.value.connector == null ? [1] : []
          content {
            subnetwork = vpc_access.value.subnetwork
          }
        }
      }
    }
  }

  # What a deployment writes, and nothing else: the code and its revision. Environment, scaling, account and ingress stay
  # Terraform's.
  lifecycle {
    ignore_changes = [
      annotations,
      build_config,
      client,
      client_version,
      traffic,
      template[0].annotations,
      template[0].labels,
      template[0].revision,
      template[0].containers[0].image,
      template[0].containers[0].base_image_uri,
      template[0].containers[0].name,
    ]
  }
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = var.invokers

  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.servicesInvoker"
  member   = each.value
}

# Smoke tests, and trials of releases.
resource "google_cloud_run_v2_service_iam_member" "deployer" {
  project  = var.project
  location = var.region
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.servicesInvoker"
  member   = var.deployer
}

resource "google_service_account_iam_member" "deployer" {
  service_account_id = "projects/${var.project}/serviceAccounts/${google_service_account.this.email}"
  role               = "roles/iam.serviceAccountUser"
  member             = var.deployer
}
