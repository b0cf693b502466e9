import {registry} from "@web/core/registry";
import {stepUtils} from "@web_tour/tour_utils";

const LOG = `2026-01-12 10:00:01 INFO start
2026-01-12 10:02:11 WARNING pool: connection leak: 17 of 20 in use
2026-01-12 10:02:14 ERROR psycopg2.pool.PoolError: connection pool exhausted`;

registry.category("web_tour.tours").add("qms_error_code_classify", {
    steps: () => [
        stepUtils.showAppsMenuItem(),
        {
            content: "Open the app",
            trigger: ".o_app[data-menu-xmlid='qms_error_code.qms_menu_root']",
            run: "click",
        },
        {
            content: "Open the menu of the catalogue",
            trigger: "[data-menu-xmlid='qms_error_code.qms_menu_catalogue']",
            run: "click",
        },
        {
            content: "Open the page to classify a log",
            trigger: "[data-menu-xmlid='qms_error_code.qms_error_classify_menu']",
            run: "click",
        },
        {
            content: "Paste a log",
            trigger: ".o_field_widget[name='text'] textarea",
            async run({edit}) {
                await edit(LOG);
            },
        },
        {
            content: "Classify it",
            trigger: "button[name='action_classify']",
            run: "click",
        },
        {
            content: "The leak explains the empty pool, so it comes first",
            trigger:
                ".o_kanban_record:first:contains('DB_CONNECTION_LEAK'):contains('17 of 20 in use')",
        },
        {
            content: "The empty pool comes second",
            trigger: ".o_kanban_record:contains('DB_CONNECTION_TIMEOUT')",
        },
        {
            content: "Open the entry of the best match",
            trigger: ".o_kanban_record:first button[name='action_open_error_code']",
            run: "click",
        },
        {
            content: "Its fix is there",
            trigger:
                ".o_form_view:has(.o_field_widget[name='name']:contains('DB_CONNECTION_LEAK')) .o_field_widget[name='resolution']:contains('pg_terminate_backend')",
        },
    ],
});
